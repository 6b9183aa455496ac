// A click on a heading sorts the table below it, compositions and controls apart; what is missing stays last.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, index) => {
    const name = heading.textContent.trim(), button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.title = `sort by ${name}`;
    heading.append(button);
    button.addEventListener("click", () => {
      const text = heading.classList.contains("text");
      const up = heading.ariaSort ? heading.ariaSort === "descending" : text;
      headings.forEach(other => other.removeAttribute("aria-sort"));
      heading.ariaSort = up ? "ascending" : "descending";
      const value = row => row.cells[index].dataset.value;
      const order = (a, b) => {
        const [left, right] = [value(a), value(b)];
        if (left === "" || right === "") return (left === "") - (right === "");
        return (up ? 1 : -1) * (text ? left.localeCompare(right) : left - right);
      };
      for (const body of table.tBodies) body.append(...[...body.rows].sort(order));
    });
  });
}
