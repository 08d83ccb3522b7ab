// The switch between light and dark; the cookie lets the server draw the next page right away.
const themeSwitch = document.querySelector("[data-theme-switch]");

themeSwitch.hidden = false;
themeSwitch.addEventListener("click", () => {
  const root = document.documentElement;
  const shown = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = shown === "dark" ? "light" : "dark";
  document.querySelector("meta[name=color-scheme]").content = root.dataset.theme;
  const isTls = location.protocol === "https:";
  document.cookie = `${isTls ? "__Host-" : ""}theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax${isTls ? "; secure" : ""}`;
});
