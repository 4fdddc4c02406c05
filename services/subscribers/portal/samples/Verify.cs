// Checks that a webhook comes from Omroeper, with nothing but .NET itself (Standard Webhooks, v1; .NET 7 or newer).
using System;
using System.Linq;
using System.Security.Cryptography;
using System.Text;

public static class OmroeperWebhook
{
    private const long ToleranceSeconds = 300;

    /// <summary>Tells whether a request is ours and fresh.</summary>
    /// <param name="secret">Your <c>whsec_…</c>.</param>
    /// <param name="header">Gives a header by name, such as <c>name => request.Headers[name].ToString()</c>.</param>
    /// <param name="body">The bytes as they came, before any parsing.</param>
    public static bool IsGenuine(string secret, Func<string, string?> header, byte[] body)
    {
        string id = header("webhook-id") ?? "", timestamp = header("webhook-timestamp") ?? "";
        long now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        if (!long.TryParse(timestamp, out long sent) || Math.Abs(now - sent) > ToleranceSeconds) return false;

        string encoded = secret.StartsWith("whsec_", StringComparison.Ordinal) ? secret[6..] : secret;
        byte[] key = Convert.FromBase64String(encoded);
        byte[] content = Encoding.UTF8.GetBytes($"{id}.{timestamp}.").Concat(body).ToArray();
        byte[] expected = Encoding.ASCII.GetBytes(Convert.ToBase64String(HMACSHA256.HashData(key, content)));
        // while a secret is being replaced there are two signatures; one that fits is enough
        return (header("webhook-signature") ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(part => part.Split(',', 2))
            .Any(part => part is ["v1", var value]
                && CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(value), expected));
    }
}
