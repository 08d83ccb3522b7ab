// Code tabs are radio buttons and work by themselves; this keeps all of a page, and the next visit, in one language.
const choices = [...document.querySelectorAll(".tabs-choice input")];

function choose(language) {
  for (const choice of choices) choice.checked = choice.value === language;
}

const remembered = localStorage.getItem("language");
if (choices.some((choice) => choice.value === remembered)) choose(remembered);

for (const choice of choices) {
  choice.addEventListener("change", () => {
    localStorage.setItem("language", choice.value);
    choose(choice.value);
  });
}
