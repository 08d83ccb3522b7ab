// The interactive reference: Swagger UI over our own OpenAPI document, in the theme of the page.
const reference = document.getElementById("reference");
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function followTheme() {
  const theme = document.documentElement.dataset.theme || (prefersDark.matches ? "dark" : "light");
  document.documentElement.classList.toggle("dark-mode", theme === "dark");
}

followTheme();
prefersDark.addEventListener("change", followTheme);
new MutationObserver(followTheme).observe(document.documentElement, { attributeFilter: ["data-theme"] });

SwaggerUIBundle({
  domNode: reference,
  url: reference.dataset.document,
  defaultModelsExpandDepth: -1,
  docExpansion: "list",
  tryItOutEnabled: false,
  validatorUrl: null,
});
