// Hides the rows that the selects and the search field, if any, do not ask for; counts the others.
"use strict";
(() => {
  const selects = [...document.querySelectorAll("[data-filter]")];
  const search = document.getElementById("search");
  const left = document.getElementById("left");
  const rows = [...document.querySelectorAll("[data-filtered] > *")].map((row) => ({
    row,
    text: row.textContent.toLowerCase(),
  }));
  if (!left) return;

  // A row may have several values of a name, one a line.
  const has = (row, name, value) => `\n${row.dataset[name]}\n`.includes(`\n${value}\n`);

  const show = () => {
    const sought = search ? search.value.trim().toLowerCase() : "";
    let count = 0;
    for (const { row, text } of rows) {
      const asked = selects.every((one) => !one.value || has(row, one.dataset.filter, one.value));
      row.hidden = !asked || !text.includes(sought);
      count += !row.hidden;
    }
    left.textContent = `${count} of ${rows.length}`;
  };

  selects.forEach((one) => one.addEventListener("change", show));
  search?.addEventListener("input", show);
  show();
})();
