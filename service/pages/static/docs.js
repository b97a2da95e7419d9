// Swagger UI in the visitor's own scheme, and what a keyboard or a screen reader needs of it and does not get.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");

function follow() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

function repair() {
  // a link within the button that opens an operation: the button alone is to be reached
  for (const link of document.querySelectorAll(".opblock-summary-control a[href]")) link.removeAttribute("href");
  for (const box of document.querySelectorAll("pre.microlight:not([tabindex])")) box.tabIndex = 0;
  for (const choice of document.querySelectorAll("select.examples-select-element:not([aria-label])")) {
    choice.setAttribute("aria-label", "Example");
  }
  for (const choice of document.querySelectorAll("tr[data-param-name] select:not([aria-label])")) {
    choice.setAttribute("aria-label", choice.closest("tr").dataset.paramName);
  }
}

dark.addEventListener("change", follow);
follow();
new MutationObserver(repair).observe(document, { childList: true, subtree: true });
