// What pages can do beyond HTML: copy a text, and say so. Everything else works without this file.
"use strict";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  const text = "value" in field ? field.value : field.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren(field);
    if ("select" in field) field.select();
    return;
  }
  const said = document.getElementById("said");
  said.textContent = "";
  requestAnimationFrame(() => { said.textContent = button.dataset.copied; });
  const before = button.dataset.before ?? (button.dataset.before = button.textContent);
  button.textContent = button.dataset.copied;
  setTimeout(() => { button.textContent = before; }, 2500);
});

// Buttons that need a script are not there without one.
for (const button of document.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
document.addEventListener("htmx:afterSwap", (event) => {
  for (const button of event.target.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
});
