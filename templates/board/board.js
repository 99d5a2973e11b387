// Keeps the page as it is on the server: one stream for a tab, and none while it is hidden.
"use strict";

(() => {
  const board = document.getElementById("board");
  const link = document.getElementById("link");
  const said = document.getElementById("said");
  let stream = null;

  function words(id) {
    const element = document.getElementById(id);
    return element === null ? "" : element.textContent.replace(/\s+/g, " ").trim();
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

  function replace(event) {
    const focused = mark(document.activeElement);
    const scrolled = Array.from(board.querySelectorAll(".wide"), (one) => one.scrollLeft);
    const before = words("counts");
    board.innerHTML = event.data;
    board.dataset.version = event.lastEventId;
    board.querySelectorAll(".wide").forEach((one, number) => {
      one.scrollLeft = scrolled[number] || 0;
    });
    const again = focused === null ? null : board.querySelector(focused);
    if (again !== null) again.focus({ preventScroll: true });
    const now = words("counts");
    if (now !== before) said.textContent = now;
  }

  function open() {
    if (stream !== null || document.hidden) return;
    const url = new URL(board.dataset.events, document.baseURI);
    url.searchParams.set("seen", board.dataset.version);
    stream = new EventSource(url);
    stream.onmessage = replace;
    stream.onopen = () => {
      link.textContent = "";
    };
    stream.onerror = () => {
      link.textContent = "The board does not answer. This page shows what was seen last.";
      // A browser gives up after some answers; the server may come back at any time.
      if (stream !== null && stream.readyState === EventSource.CLOSED) {
        close();
        window.setTimeout(open, 2000);
      }
    };
  }

  function close() {
    if (stream !== null) stream.close();
    stream = null;
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
      said.textContent = "Copied.";
      button.textContent = "Copied";
    } catch {
      window.getSelection().selectAllChildren(code);
      said.textContent = "It is selected: copy it with the keyboard.";
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
