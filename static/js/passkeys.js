// Passkeys: hands the forms of the page to allauth's own script, and says in words what went wrong.
const failed = document.getElementById("passkey-error");
const words = {
  InvalidStateError: "This device or key is already added to your account.",
  NotAllowedError: "It was cancelled, or took too long. Try again.",
  NotSupportedError: "This device or key cannot do what is needed here. Try another one.",
  SecurityError: "Passkeys need this site’s own name: open it under its name, not under a number.",
};

for (const form of document.querySelectorAll("[data-passkey]")) {
  const { passkey, button, credential, passwordless, options } = form.dataset;
  const ids = { add: button, authenticate: button, login: button, credential, passwordless };
  if (window.PublicKeyCredential) {
    allauth.webauthn.forms[passkey]({ ids, data: options && JSON.parse(options) });
  } else {
    document.getElementById(button).disabled = true;
    failed.textContent = "This browser has no passkeys, or the page was not opened over https.";
  }
}

document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  failed.textContent = words[event.detail.exception.name] || "That did not work. Reload the page and try again.";
});
