// Polite announcements for people who listen to the page: one live region, the latest words win.
let region;
export function say(words) {
  region ??= document.querySelector("[data-announce]");
  if (!region || !words) return;
  region.textContent = "";
  setTimeout(() => { region.textContent = words; }, 50);
}
