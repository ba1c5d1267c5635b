// What a page does beyond its links and forms. All of it may fail: the pages work without.
"use strict";

// A portal link ends in "#" and a token, which no server has seen. It goes into a
// form, so that it is in no address and no log.
function enter() {
  if (!location.hash.startsWith("#portal_")) return false;
  const form = document.createElement("form");
  form.method = "post";
  form.action = document.body.dataset.enter;
  form.hidden = true;
  const field = document.createElement("input");
  field.name = "token";
  field.value = location.hash.slice(1);
  form.append(field);
  document.body.append(form);
  history.replaceState(null, "", location.pathname + location.search);
  form.submit();
  return true;
}

function say(text) {
  const live = document.getElementById("live");
  if (live && live.textContent !== text) live.textContent = text;
}

// Copy buttons are there only where they can work.
function copies(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.querySelector(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.dataset.text || source.textContent);
        say("Copied");
        button.textContent = "Copied";
      } catch {
        button.textContent = "Select and copy it by hand";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
}

// Each time also says what it is by this computer's clock.
function times(root) {
  for (const time of root.querySelectorAll("time")) {
    time.title = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }) + ", your time";
  }
}

// Parts of a form that only matter with one choice are shown with it.
function choices(root) {
  for (const part of root.querySelectorAll("[data-only]")) {
    const choice = document.querySelector(part.dataset.only);
    const follow = () => { part.hidden = !choice.checked; };
    for (const other of document.getElementsByName(choice.name)) other.addEventListener("change", follow);
    follow();
  }
}

// A secret does not stay on the screen.
function secrets(root) {
  for (const secret of root.querySelectorAll("[data-hide]")) {
    setTimeout(() => { secret.textContent = "hidden again; load the page to show it"; }, 60000);
  }
}

// What is only in the way on a phone is closed there, before the page is painted.
function roomy() {
  if (innerWidth > 704) return;
  for (const details of document.querySelectorAll("details[data-roomy]")) details.open = false;
}

function prepare(root) {
  copies(root);
  times(root);
  choices(root);
  secrets(root);
}

// A part that htmx renews keeps open what was open, and says what is new.
const open = new Set();
document.addEventListener("htmx:beforeSwap", () => {
  open.clear();
  for (const details of document.querySelectorAll("details[id]")) open.add(details.id + (details.open ? "+" : "-"));
});
document.addEventListener("htmx:afterSettle", () => {
  for (const details of document.querySelectorAll("details[id]")) {
    if (open.has(details.id + "+")) details.open = true;
    if (open.has(details.id + "-")) details.open = false;
  }
  prepare(document);
  const news = document.querySelector("[data-say]");
  if (news) say(news.textContent.trim().replace(/\s+/g, " "));
});
document.addEventListener("htmx:sendError", () => say("Could not reach the relay. The page shows what was known before."));
// An answer that is no part of this page, such as that of an ended session, is shown whole.
document.addEventListener("htmx:responseError", () => location.reload());

document.addEventListener("DOMContentLoaded", () => {
  if (enter()) return;
  roomy();
  prepare(document);
  const first = document.querySelector("[data-focus]");
  if (first) first.focus();
});
window.addEventListener("hashchange", enter);
