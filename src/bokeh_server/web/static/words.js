/* Numbers and kinds as people say them. */

const KIB = 1024;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const this_year = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const any_year = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

/* How long before `now` the Date `then` was: "just now", "3 min ago", "yesterday", "12 Mar". */
export function ago(then, now) {
  const seconds = (now - then) / 1000;
  if (seconds < 45) return "just now";
  if (seconds < HOUR - MINUTE / 2) return `${Math.max(1, Math.round(seconds / MINUTE))} min ago`;
  if (seconds < DAY) return `${Math.round(seconds / HOUR)} h ago`;
  const days = Math.round((midnight(now) - midnight(then)) / 1000 / DAY);
  if (days <= 1) return "yesterday";
  if (days < 7) return `${days} days ago`;
  return (then.getFullYear() === now.getFullYear() ? this_year : any_year).format(then);
}

function midnight(date) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate());
}

/* Milliseconds as one reads them in passing: "3 s", "25 s", "4 min"; what is longer changes less often. */
export function span(time) {
  const seconds = Math.round(time / 1000);
  if (seconds < 10) return `${seconds} s`;
  return seconds < 90 ? `${5 * Math.round(seconds / 5)} s` : `${Math.round(seconds / 60)} min`;
}

/* Milliseconds: "4 ms", "120 ms", "2.4 s". */
export function exactly(time) {
  const rounded = time < 10 ? Math.round(time) : 10 * Math.round(time / 10);
  return rounded < 1000 ? `${rounded} ms` : `${(time / 1000).toFixed(1)} s`;
}

/* Bytes: "812 B", "24 kB", "3.1 MB". */
export function size(bytes) {
  if (bytes < KIB) return `${bytes} B`;
  let value = bytes;
  for (const unit of ["kB", "MB", "GB", "TB"]) {
    value /= KIB;
    if (value < 999.5 || unit === "TB") return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${unit}`;
  }
}

/* Which of the pictures in board.html goes with a kind such as "2 plots, 3 widgets". */
export function glyph(kind) {
  const numbers = Object.fromEntries([...kind.matchAll(/(\d+) (plot|table|widget)/g)].map(([, n, what]) => [what, +n]));
  const { plot = 0, table = 0, widget = 0 } = numbers;
  if (plot > 0) return widget > 0 ? "app" : plot > 1 ? "plots" : "plot";
  if (table > 0) return "table";
  return widget > 0 ? "widgets" : kind === "" ? "empty" : "text";
}

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/* When something ends, in seconds since 1970 (null: never). */
export function end(until) {
  if (until === null) return "no end";
  const date = new Date(until * 1000);
  return date < new Date() ? "ended" : `until ${moment.format(date)}`;
}

const BROWSERS = [["Edg/", "Edge"], ["OPR/", "Opera"], ["Firefox/", "Firefox"], ["Chrome/", "Chrome"], ["Safari/", "Safari"]];
const SYSTEMS = [
  ["Android", "Android"], ["iPhone", "iPhone"], ["iPad", "iPad"], ["Windows", "Windows"], ["Mac OS", "macOS"], ["CrOS", "ChromeOS"],
  ["Linux", "Linux"],
];

/* What a browser is, by the long name that it gives itself. */
export function browser(agent) {
  const [name, system] = [BROWSERS, SYSTEMS].map((known) => known.find(([word]) => agent.includes(word))?.[1]);
  if (name === undefined) return agent === "" ? "Some program" : agent.slice(0, 60);
  return system === undefined ? name : `${name} on ${system}`;
}
