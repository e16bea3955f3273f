"use strict";
const { charts, totals, unknown } = JSON.parse(document.getElementById("data").textContent);
const picker = document.getElementById("domain");
const filter = document.getElementById("filter");
const options = [...picker.options];

function showNumbers() {
  const [people, others] = totals[picker.value];
  const clicks = people + others;
  show("clicks", clicks);
  show("people", people, people / clicks);
  show("others", others, others / clicks);
  for (const place of document.querySelectorAll("[data-list]")) {
    const without = unknown[place.dataset.list]?.[picker.value];
    place.textContent = (without ?? 0).toLocaleString("en");
    place.parentElement.hidden = !without;
  }
  // a comparison of domains says nothing about one of them
  const domains = document.getElementById("domains");
  if (domains) domains.parentElement.hidden = picker.value !== "all";
}

function show(id, number, share) {
  const place = document.getElementById(id);
  place.textContent = number.toLocaleString("en");
  if (share === undefined) return;
  const part = place.appendChild(document.createElement("small"));
  part.textContent = ` ${Math.round(100 * share)} %`;
}

// options are taken out, since not every browser hides one
filter.addEventListener("input", () => {
  const text = filter.value.trim().toLowerCase();
  const found = options.filter((option) => option.text.toLowerCase().includes(text));
  if (!found.length) return;
  picker.replaceChildren(...found);
  picker.selectedIndex = 0;
  picker.dispatchEvent(new Event("change"));
});

// the charts listen to the picker themselves
picker.addEventListener("change", showNumbers);
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
const drawn = Object.entries(charts)
  .filter(([id]) => document.getElementById(id))
  .map(([id, chart]) =>
    // without `ast` it would compile what it draws to code, which the page's policy forbids;
    // 1: errors alone are logged
    vegaEmbed(`#${id}`, chart, {
      ast: true, renderer: "svg", actions: false, defaultStyle: false, logLevel: 1,
      tooltip: { defaultStyle: false, disableDefaultStyle: true },
    }));
Promise.all(drawn).then(() => {
  showNumbers();
  document.body.dataset.drawn = "true";
});
