/* Forms that are answered in place, in words; and what several of our pages do with them. All text goes in as text. */

/* Let `act(fields)` carry the form out; what it throws is told beside the button. Once at a time. */
export function carry_out(form, act) {
  const problem = form.querySelector("[role=alert]");
  let busy = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    form.setAttribute("aria-busy", "true");
    problem.textContent = "";
    try {
      await act(Object.fromEntries(new FormData(form)));
    } catch (error) {
      problem.textContent = error.message;
      form.querySelector("input:not([type=hidden], [readonly])")?.focus();
    }
    busy = false;
    form.removeAttribute("aria-busy");
  });
}

/* Buttons beside passwords that show what is typed. */
export function let_reveal() {
  for (const button of document.querySelectorAll(".reveal")) {
    button.addEventListener("click", () => {
      const input = button.parentElement.querySelector("input");
      const shown = input.type === "text";
      input.type = shown ? "password" : "text";
      button.textContent = shown ? "Show" : "Hide";
      button.setAttribute("aria-pressed", `${!shown}`);
    });
  }
}

/* Where to go once somebody is in: what `next` names, if that is a page of this server below `prefix`, else its board.
   Never a bare path: "/.//elsewhere" is one of ours as a URL, and another server as a path. */
export function destination(prefix, next) {
  const home = new URL(`${prefix}/`, location.origin);
  if (!next?.startsWith("/") || !URL.canParse(next, home)) return home.href;
  const url = new URL(next, home);
  const ours = url.origin === home.origin && url.pathname.startsWith(home.pathname);
  return ours && !url.pathname.startsWith(`${prefix}/bokeh/login`) ? url.href : home.href;
}

/* The secret behind the # of our own address, which browsers send to nobody. It leaves the address bar at once, and
   stays with this entry of the history, so that the page can be loaded again. */
export function take_secret() {
  const secret = location.hash.slice(1) || history.state?.secret || null;
  history.replaceState({ secret }, "", location.pathname + location.search);
  return secret;
}

/* A clone of the template `name`, and its parts by their `data-part`. */
export function clone(name) {
  const element = document.getElementById(name).content.firstElementChild.cloneNode(true);
  const parts = [...element.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]);
  return { element, ...Object.fromEntries(parts) };
}
