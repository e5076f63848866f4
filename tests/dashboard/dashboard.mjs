// Uses the relay's dashboard as a person does, in a real browser. Started by tests/tests/dashboard.rs, which owns the relay and the
// devices: the first line of standard input says where everything is, a line on standard output says what was done, and where that is to
// be answered the next line of standard input does. It ends with 0 where everything was as it has to be.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

/** Longer than anything takes on a machine that is busy with other tests. */
const PATIENCE_MS = 60_000;
/** The whole of it: after that whatever hangs is told by its stack. */
const WHOLE_MS = 240_000;
/** The narrowest phone that has to be enough, in CSS pixels. */
const PHONE = { width: 360, height: 740 };
const DESKTOP = { width: 1280, height: 900 };
/** The least contrast of text (WCAG 2.2, 1.4.3). */
const CONTRAST_MIN = 4.5;

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const next = async () => JSON.parse((await lines.next()).value);
const tell = (step) => process.stdout.write(`${JSON.stringify({ step })}\n`);

/** Tells of a step, and waits until the other side has done its part. */
async function answered(step) {
  tell(step);
  return next();
}

const site = await next();
const watchdog = setTimeout(() => {
  console.error(`the dashboard was not through after ${WHOLE_MS / 1000} s`);
  process.exit(1);
}, WHOLE_MS);

const browser = await chromium.launch({
  executablePath: site.chromium,
  headless: true,
  // Chromium's sandbox does not run for root, and containers have too small a /dev/shm.
  args: [...(process.getuid?.() === 0 ? ["--no-sandbox"] : []), "--disable-dev-shm-usage"],
});
const context = await browser.newContext({ viewport: DESKTOP, reducedMotion: "reduce", colorScheme: "light" });
context.setDefaultTimeout(PATIENCE_MS);
const page = await context.newPage();

// Whatever the page complains of, and whatever it asks for.
const complaints = [];
const expected = [];
page.on("console", (message) => {
  if (message.type() !== "error" && message.type() !== "warning") return;
  const known = expected.find((text) => message.text().includes(text));
  if (!known) complaints.push(message.text());
});
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("dialog", (dialog) => {
  complaints.push(`a script of a name ran: ${dialog.message()}`);
  dialog.dismiss();
});
const asked = new Set();
page.on("request", (request) => asked.add(request.url()));
await page.addInitScript(() => {
  window.violations = [];
  document.addEventListener("securitypolicyviolation", (event) =>
    window.violations.push(`${event.violatedDirective} ${event.blockedURI}`),
  );
});

const text = (selector) => page.locator(selector).innerText();
const rows = (section) => page.locator(`#${section} tbody tr`);
const said = (words) => page.locator("#said", { hasText: words }).waitFor();
const focused = () =>
  page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent);
const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);
const stored = () => page.evaluate(() => [sessionStorage.length, localStorage.length, document.cookie]);
const polled = () => page.waitForResponse((response) => response.url().endsWith("/v1/tokens") && response.ok());

async function screenshot(name) {
  if (site.screenshots) await page.screenshot({ path: `${site.screenshots}/${name}.png`, fullPage: true });
}

/** Goes on with the key until something is focused of which this is said. */
async function goTo(name, key = "Tab") {
  for (let presses = 0; presses < 200; presses += 1) {
    if ((await focused())?.startsWith(name)) return;
    await page.keyboard.press(key);
  }
  assert.fail(`no key leads to ${name}`);
}

/** Text whose contrast with what is behind it is too low. */
const pale = () =>
  page.evaluate((least) => {
    const parse = (color) => color.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) =>
      [r, g, b]
        .map((c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = (node) => {
      for (; node; node = node.parentElement) {
        const color = parse(getComputedStyle(node).backgroundColor);
        if (color.length === 3 || color[3] === 1) return color;
      }
      return [255, 255, 255];
    };
    const own = (node) =>
      [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.textContent.trim() !== "");
    return [...document.body.querySelectorAll("*")]
      .filter((node) => own(node) && node.checkVisibility() && !node.disabled)
      .map((node) => {
        const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))];
        return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.textContent.slice(0, 40)];
      })
      .filter(([ratio]) => ratio < least);
  }, CONTRAST_MIN);

try {
  // Nobody is shown anything without a token, and a wrong one is told in words.
  await page.goto(site.url);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await screenshot("sign-in");
  assert.equal(await page.locator("#board").isVisible(), false);
  expected.push("status of 401");
  await page.getByLabel("Token of an administrator").fill("afield_wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("This is not the token of an administrator").waitFor();
  assert.deepEqual(await stored(), [0, 0, ""]);
  assert.deepEqual([await focused(), await page.locator("#token").inputValue()], ["", ""]);
  expected.pop();

  // The right one, with the keyboard.
  await page.keyboard.type(site.token);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  assert.deepEqual(await stored(), [0, 0, ""], "the token is nowhere where the browser writes it down");
  await rows("sessions").nth(1).waitFor();
  assert.equal(await rows("sessions").count(), 2, "both devices are connected");
  assert.equal(await rows("devices").count(), 2);
  assert.match(await text("#tile-state"), /Ready/);
  assert.match(await text("#tile-devices-connected"), /^2/);
  assert.match(await text("#tile-connections"), /^\d+ of [\d,]+/);
  assert.match(await rows("spaces").first().innerText(), /of 1 GiB/);
  assert.match(await text("#events"), /A device signed in/);
  assert.equal(await text("#age"), "Live");

  // What is pushed is counted, and so is how far behind a device is that does not confirm it.
  await page.locator("#tile-devices-are-behind", { hasText: /^0 chunks/ }).waitFor();
  const { before, after } = await answered("push while the phone stands still");
  const progress = (name, words) => rows("sessions").filter({ hasText: name }).filter({ hasText: words });
  await page.locator("#tile-chunks-stored", { hasText: `${after} since the start` }).waitFor();
  for (const tile of ["chunks-stored", "received", "sent"]) {
    await page.waitForFunction((id) => parseFloat(document.getElementById(id).textContent) > 0, `tile-${tile}`);
    assert.match(await text(`#tile-${tile}`), /^[\d.,]+( [KM]i?B| B)?\/s\n[\d.,]+ ([KM]i?B |B )?since the start$/);
    assert.doesNotMatch(await text(`#tile-${tile}`), /\n0 /);
  }
  await page.locator("#tile-devices-are-behind", { hasText: `${after - before} chunks` }).waitFor();
  await progress("the phone", `${after - before} behind, confirmed ${before} of ${after}`).waitFor();
  await progress(site.hostile, `in step at ${after}`).waitFor();
  await screenshot("behind");
  await answered("let the phone go on");
  await progress("the phone", `in step at ${after}`).waitFor();
  await page.locator("#tile-devices-are-behind", { hasText: /^0 chunks/ }).waitFor();

  // What is refused is counted by its reason, and told among the events.
  await page.getByText("Nothing was refused, and nothing failed, since the relay started.").waitFor();
  await answered("push what has no room");
  await rows("refusals").filter({ hasText: "Changes refused" }).filter({ hasText: "quota" }).waitFor();
  assert.match(await rows("refusals").first().innerText(), /^Changes refused\s+quota\s+[1-9]\d*$/);
  await rows("events").filter({ hasText: "Changes were refused" }).waitFor();

  // A name is text, whatever is in it.
  const hostile = rows("sessions").filter({ hasText: site.hostile });
  assert.equal(await hostile.count(), 1, "the name is shown as it is");
  assert.deepEqual(
    await page.evaluate(() => [document.querySelectorAll("main img, main script").length, window.hacked]),
    [0, undefined],
  );

  // What is looked for is found, and nothing else.
  await page.getByLabel("Search devices").fill("zed no such");
  await page.getByText("Nothing here is found by this search.").waitFor();
  await page.getByLabel("Search devices").fill(site.phone.slice(-6));
  assert.equal(await rows("devices").count(), 1);
  await page.getByLabel("Search devices").fill("");

  // Updates leave the focus where it is, and the row as it was, also when rows come and go before it.
  const button = page
    .locator("#users tbody tr", { hasText: "zoe" })
    .getByRole("button", { name: "Sign out or close: zoe" });
  await button.focus();
  await button.evaluate((node) => (node.mark = true));
  await answered("make a user");
  await rows("users").filter({ hasText: "newcomer" }).waitFor();
  await polled();
  assert.equal(await page.evaluate(() => document.activeElement.mark), true, "the focus stays where it was");

  // It can be read by everybody: wide, narrow, light and dark.
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    assert.deepEqual(await pale(), [], `contrast, ${scheme}`);
    await screenshot(`desktop-${scheme}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(PHONE);
  assert.ok(await fits(), "a phone does not have to be scrolled sideways");
  assert.equal(
    (await page.getByRole("table").first().getByRole("row").count()) > 1,
    true,
    "cards are rows of a table still",
  );
  await screenshot("phone");
  await page.setViewportSize(DESKTOP);
  const unnamed = page.locator("table:not(:has(caption)), th:not([scope]), input:not([id]):not(label input)");
  assert.equal(await unnamed.count(), 0);

  // With the keyboard alone a device is signed out. Who thinks better of it is where he or she was.
  await page.getByLabel("Search devices").focus();
  await goTo("Sign out: the phone");
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.getByText("its session ends at once").waitFor();
  await screenshot("question");
  assert.deepEqual(await pale(), [], "contrast of the question");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  assert.equal(await focused(), "Sign out: the phone");
  assert.equal(await rows("sessions").count(), 2, "nothing was done");
  await page.keyboard.press("Enter");
  await dialog.waitFor();
  assert.equal(await focused(), "Cancel", "nothing is done by pressing Enter once too often");
  await goTo("Sign out");
  tell("the phone is signed out");
  await page.keyboard.press("Enter");
  await said("the phone is signed out. Revoked with it: token");
  await dialog.waitFor({ state: "hidden" });
  await next();
  await rows("sessions").nth(1).waitFor({ state: "detached" });
  await rows("devices").filter({ hasText: "the phone" }).filter({ hasText: "signed out" }).waitFor();
  await rows("events").filter({ hasText: "A device was signed out by an administrator" }).waitFor();
  assert.equal(await focused(), "Devices", "the button is gone, and the focus has gone to what it was under");

  // Of what can be done to a user one is chosen.
  await button.click();
  await dialog.getByRole("radio", { name: /Close the account/ }).check();
  await dialog.getByRole("button", { name: "Close the account" }).click();
  await said("The account of zoe is closed.");
  await page.getByRole("button", { name: "Open the account: zoe" }).click();
  await dialog.getByRole("button", { name: "Open the account" }).click();
  await said("The account of zoe is open again.");
  assert.deepEqual(complaints, []);

  // A relay that is away is told, and asked again by itself.
  expected.push("ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "ERR_SOCKET");
  await answered("stop the relay");
  await page.locator("#trouble", { hasText: "The relay does not answer." }).waitFor();
  await page.locator("#age", { hasText: "ago" }).waitFor();
  assert.match(await text("#tile-state"), /No answer/);
  await screenshot("away");
  await answered("start the relay");
  await said("The relay answers again.");
  await page.locator("#trouble").waitFor({ state: "hidden" });
  expected.length = 0;

  // A token that is revoked shows nothing any more; signing out forgets a good one.
  await page.getByRole("button", { name: "Sign out of the dashboard" }).click();
  await said("this page has forgotten the token");
  assert.deepEqual(await stored(), [0, 0, ""]);
  assert.equal(await page.locator("#board").isVisible(), false);
  await page.getByLabel("Token of an administrator").fill(site.token);
  await page.keyboard.press("Enter");
  await rows("tokens").first().waitFor();

  // A page that is loaded again has forgotten it, and starts to gather anew what its policy forbade.
  assert.deepEqual(await page.evaluate(() => window.violations), []);
  await page.reload();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal(await page.locator("#board").isVisible(), false);
  await page.getByLabel("Token of an administrator").fill(site.token);
  await page.keyboard.press("Enter");
  await rows("tokens").first().waitFor();
  expected.push("status of 401");
  await page.getByRole("button", { name: /^Revoke: token \d+, dashboard/ }).click();
  await dialog.getByRole("button", { name: "Revoke" }).click();
  await page.getByText("The relay does not take the token any more").waitFor();
  assert.deepEqual(await stored(), [0, 0, ""]);

  assert.deepEqual(complaints, [], "the page complains of nothing");
  assert.deepEqual(await page.evaluate(() => window.violations), [], "and the policy forbade nothing");
  const elsewhere = [...asked].filter((url) => new URL(url).origin !== new URL(site.url).origin);
  assert.deepEqual(elsewhere, [], "nothing is loaded from elsewhere");
  assert.ok(
    [...asked].every((url) => !url.includes(site.token) && !url.includes("?")),
    "no token is in an address",
  );
  tell("everything is as it has to be");
} catch (error) {
  await screenshot("failed").catch(() => undefined);
  console.error(error);
  console.error("complaints of the page:", complaints);
  process.exitCode = 1;
} finally {
  clearTimeout(watchdog);
  await browser.close();
  process.stdin.destroy();
}
