// Checks that a webhook comes from Omroeper, with nothing but Node.js itself (Standard Webhooks, v1).
import { createHmac, timingSafeEqual } from "node:crypto";

const TOLERANCE_SECONDS = 300;

/**
 * Tell whether a request is ours and fresh.
 * @param {string} secret your `whsec_…`
 * @param {Record<string, string>} headers with names in lower case, as Node.js gives them
 * @param {Buffer} body the bytes as they came, before any parsing
 */
export function isGenuine(secret, headers, body) {
  const id = headers["webhook-id"] ?? "";
  const timestamp = headers["webhook-timestamp"] ?? "";
  const age = Math.abs(Date.now() / 1000 - Number(timestamp));
  if (!/^\d+$/.test(timestamp) || age > TOLERANCE_SECONDS) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
  // while a secret is being replaced there are two signatures; one that fits is enough
  return (headers["webhook-signature"] ?? "").split(" ").some((part) => {
    const [version, value = ""] = part.split(",");
    const given = Buffer.from(value, "base64");
    return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
  });
}
