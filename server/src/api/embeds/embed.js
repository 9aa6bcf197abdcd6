// Shows the newest image of an embed, at the size of its frame and in the theme of the browser. The server says after how many seconds to
// look again; nothing is fetched while the frame is hidden.
"use strict";

const image = document.querySelector("img");
const notice = document.querySelector("p");
const dark = matchMedia("(prefers-color-scheme: dark)");
const RETRY_SECS = 30;
// A frame with the attribute sandbox has no origin: it may show images, and may not fetch them.
const IS_SANDBOXED = self.origin === "null";
const RESIZED_MS = 200;

// The address and the ETag of the image that is shown.
let shown = { address: null, etag: null };
let isInView = true;
let hasEnded = false;
let isFetching = false;
let timer = 0;

function address() {
  const theme = document.documentElement.dataset.theme || (dark.matches ? "dark" : "light");
  const width = Math.max(1, Math.round(innerWidth));
  const height = Math.max(1, Math.round(innerHeight));
  return `${image.dataset.image}?theme=${theme}&width=${width}&height=${height}`;
}

// Replaces the image once the new one is decoded, so that it does not flicker.
async function show(url) {
  const next = new Image();
  next.src = url;
  await next.decode();
  const before = image.src;
  document.querySelectorAll("source").forEach((source) => source.remove());
  image.src = url;
  if (before.startsWith("blob:")) URL.revokeObjectURL(before);
}

function end(text) {
  hasEnded = true;
  image.hidden = true;
  notice.textContent = text;
  notice.hidden = false;
}

// Fetches the image if it has changed. Returns after how many seconds to look again.
async function fetchNewest() {
  const wanted = address();
  if (IS_SANDBOXED) {
    await show(`${wanted}&at=${Date.now()}`);
    shown.address = wanted;
    return RETRY_SECS;
  }
  const etag = wanted === shown.address ? shown.etag : null;
  const headers = etag ? { "If-None-Match": etag } : {};
  const answer = await fetch(wanted, { credentials: "omit", cache: "no-store", headers });
  if (answer.status === 410) {
    end(await answer.text());
  } else if (answer.status === 200) {
    await show(URL.createObjectURL(await answer.blob()));
    shown = { address: wanted, etag: answer.headers.get("etag") };
  }
  return Number(answer.headers.get("kindling-refresh")) || RETRY_SECS;
}

async function refresh() {
  clearTimeout(timer);
  if (document.hidden || !isInView || hasEnded || isFetching) return;
  isFetching = true;
  let secs = RETRY_SECS;
  try {
    secs = await fetchNewest();
  } catch {
    // The server is unreachable: the last image stays.
  }
  isFetching = false;
  schedule(address() === shown.address || secs === RETRY_SECS ? secs * 1000 : RESIZED_MS);
}

function schedule(ms) {
  clearTimeout(timer);
  if (!hasEnded) timer = setTimeout(refresh, ms);
}

document.addEventListener("visibilitychange", refresh);
dark.addEventListener("change", refresh);
addEventListener("resize", () => schedule(RESIZED_MS));
new IntersectionObserver((entries) => {
  isInView = entries.some((entry) => entry.isIntersecting);
  refresh();
}).observe(document.body);
refresh();
