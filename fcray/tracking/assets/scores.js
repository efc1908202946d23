// Hides the wrong answers that the selects and the search box do not ask for, and counts the others.
"use strict";
(() => {
  const selects = [...document.querySelectorAll("[data-filter]")];
  const search = document.getElementById("search");
  const left = document.getElementById("left");
  const cards = [...document.querySelectorAll(".mistakes > li")].map((card) => ({
    card,
    text: card.textContent.toLowerCase(),
  }));
  if (!search) return;

  const show = () => {
    const sought = search.value.trim().toLowerCase();
    let count = 0;
    for (const { card, text } of cards) {
      const asked = selects.every(
        (one) => !one.value || card.dataset[one.dataset.filter].split("\n").includes(one.value),
      );
      card.hidden = !asked || !text.includes(sought);
      count += !card.hidden;
    }
    left.textContent = `${count} of ${cards.length}`;
  };

  selects.forEach((one) => one.addEventListener("change", show));
  search.addEventListener("input", show);
  show();
})();
