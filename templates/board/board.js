// Keeps the page as it is on the server, while it can be seen.
"use strict";

(() => {
  // A browser has six connections to a server, for all of its tabs. What three of them have open for
  // ever leaves the others to pages, and to tabs that ask again and again.
  const STREAMS = 3;
  const AGAIN_MS = 1000;
  const LOST = "The board does not answer. This page shows what was seen last.";

  const board = document.getElementById("board");
  const link = document.getElementById("link");
  const said = document.getElementById("said");
  let following = null;

  function words(id) {
    const element = document.getElementById(id);
    return element === null ? "" : element.textContent.replace(/\s+/g, " ").trim();
  }

  function tell(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  // What has the focus is found again by its id, or by what it copies, or by where it leads.
  function mark(element) {
    if (!board.contains(element) || element === board) return null;
    if (element.id) return `#${CSS.escape(element.id)}`;
    for (const name of ["data-copy", "href"]) {
      const value = element.getAttribute(name);
      if (value !== null) return `[${name}="${CSS.escape(value)}"]`;
    }
    return null;
  }

  function replace(html, version) {
    const focused = mark(document.activeElement);
    const scrolled = Array.from(board.querySelectorAll(".wide"), (one) => one.scrollLeft);
    const before = words("counts");
    board.innerHTML = html;
    board.dataset.version = version;
    board.querySelectorAll(".wide").forEach((one, number) => {
      one.scrollLeft = scrolled[number] || 0;
    });
    const again = focused === null ? null : board.querySelector(focused);
    if (again !== null) again.focus({ preventScroll: true });
    const now = words("counts");
    if (now !== before) tell(said, now);
  }

  function pause(signal) {
    return new Promise((resolve) => {
      const timer = window.setTimeout(resolve, AGAIN_MS);
      signal.addEventListener("abort", () => (window.clearTimeout(timer), resolve()), { once: true });
    });
  }

  // Follows a stream until that is no longer wanted, or the browser gives it up.
  function stream(signal) {
    return new Promise((resolve) => {
      const url = new URL(board.dataset.events, document.baseURI);
      url.searchParams.set("seen", board.dataset.version);
      const source = new EventSource(url);
      const end = () => (source.close(), resolve());
      signal.addEventListener("abort", end, { once: true });
      source.onmessage = (event) => replace(event.data, event.lastEventId);
      source.onopen = () => tell(link, "");
      source.onerror = () => {
        tell(link, LOST);
        if (source.readyState === EventSource.CLOSED) end();
      };
    });
  }

  async function streamed(signal) {
    for (let number = 0; navigator.locks && number < STREAMS; number += 1) {
      const free = { ifAvailable: true };
      const had = await navigator.locks.request(`board-${number}`, free, async (lock) => {
        if (lock !== null && !signal.aborted) await stream(signal);
        return lock !== null;
      });
      if (had) return;
    }
  }

  async function ask(signal) {
    const headers = { "If-None-Match": `"${board.dataset.version}"` };
    try {
      const answer = await fetch(board.dataset.main, { headers, signal });
      if (answer.ok) {
        replace(await answer.text(), answer.headers.get("ETag").replaceAll('"', ""));
      }
      tell(link, answer.ok || answer.status === 304 ? "" : LOST);
    } catch {
      if (!signal.aborted) tell(link, LOST);
    }
  }

  async function follow(signal) {
    while (!signal.aborted) {
      await streamed(signal);
      if (!signal.aborted) await ask(signal);
      if (!signal.aborted) await pause(signal);
    }
  }

  function open() {
    if (following !== null || document.hidden) return;
    following = new AbortController();
    follow(following.signal);
  }

  function close() {
    if (following !== null) following.abort();
    following = null;
  }

  // A browser has six connections to a server. Six windows' streams would hold all of them, and the
  // page that comes next would never get one: so the stream ends before it is asked for, and goes on
  // if nothing came.
  function leave() {
    close();
    window.setTimeout(open, 5000);
  }

  async function copy(event) {
    const button = event.target.closest("button[data-copy]");
    if (button === null) return;
    const code = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(code.textContent);
      tell(said, "Copied.");
      button.textContent = "Copied";
    } catch {
      window.getSelection().selectAllChildren(code);
      tell(said, "It is selected: copy it with the keyboard.");
    }
  }

  document.documentElement.classList.add("js");
  board.addEventListener("click", copy);
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("beforeunload", leave);
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  open();
})();
