/* Asking and telling: one dialog and one place for short messages, as base.html has them. All text goes in as text. */

const dialog = document.getElementById("ask");
const toasts = document.getElementById("toasts");
const SHOWN = 3;

dialog.querySelector("button").addEventListener("click", () => dialog.close(""));

/* Ask before something happens. Resolves true when it may, or to the text typed where `value` is given; else null. Only
   one question at a time: a second one is answered by null at once. */
export function ask({ title, text, action, danger = false, value }) {
  if (dialog.open) return Promise.resolve(null);
  const [heading, paragraph, input] = ["h2", "p", "input"].map((name) => dialog.querySelector(name));
  const [cancel, confirm] = dialog.querySelectorAll("button");
  heading.textContent = title;
  paragraph.textContent = text;
  confirm.textContent = action;
  confirm.classList.toggle("danger", danger);
  input.hidden = value === undefined;
  input.required = !input.hidden;
  input.value = value ?? "";
  input.setAttribute("aria-label", title);
  dialog.returnValue = "";
  dialog.showModal();
  if (input.hidden) cancel.focus();
  else input.select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const agreed = dialog.returnValue === "yes";
      resolve(agreed ? (input.hidden ? true : input.value.trim()) : null);
    }, { once: true });
  });
}

/* Show a short message for a while; errors stay longer and are read out at once. What is not in an open dialog is
   behind it, and nobody's to read. */
export function toast(level, text) {
  const place = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  if (toasts.parentElement !== place) place.append(toasts);
  const message = document.createElement("p");
  message.className = level;
  message.textContent = text;
  if (level === "error") message.setAttribute("role", "alert");
  toasts.append(message);
  while (toasts.children.length > SHOWN) toasts.firstElementChild.remove();
  setTimeout(() => message.remove(), level === "error" ? 9_000 : 4_000);
}

/* Show a secret that is told once, with its button to copy it. */
export function show_once(box, text) {
  const [input, button] = [box.querySelector("input"), box.querySelector("button")];
  input.value = text;
  box.hidden = false;
  button.onclick = () => void copy(text, input);
  button.focus();
}

/* Copy `text`; where the browser does not let us, it is selected in `input`. */
export async function copy(text, input) {
  try {
    await navigator.clipboard.writeText(text);
    toast("info", "Copied.");
  } catch {
    input?.select();
    toast("error", "The browser did not let us copy; it is selected for you.");
  }
}
