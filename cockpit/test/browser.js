// A real browser, and the page as a user without a mouse or eyes meets it: by names and roles.
import axe from "axe-core";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import puppeteer from "puppeteer-core";

const patience = 180_000; // milliseconds; a loaded machine is slow

const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--no-proxy-server", "--force-color-profile=srgb"],
});
export const close = () => browser.close();

/** A page of each server stays open: cockpit-ws forgets a session that nobody has used for 15 seconds. */
const open = {};
const connected = url => open[new URL(url).origin] ??= browser.newPage().then(page => page.goto(url + "#/explain"));

/** Opens the page; the test fails if its console has an error. */
export async function visit(url, { at = "", lang = "en", scheme = "light", width = 1280, height = 900 } = {}) {
    await connected(url);
    const context = await browser.createBrowserContext();
    await context.setCookie({ name: "CockpitLang", value: lang, domain: "127.0.0.1", path: "/" });
    const page = await context.newPage();
    page.setDefaultTimeout(patience);
    await page.setViewport({ width, height });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }, { name: "prefers-reduced-motion", value: "reduce" }]);
    const errors = [];
    page.on("pageerror", err => errors.push(err.message));
    // Fonts are in the package of cockpit-ws, of which the tests have the program alone.
    page.on("console", m => { if (m.type() === "error" && !/favicon|\/static\/fonts\//.test(m.location().url ?? "")) errors.push(m.text() + " " + m.location().url) });
    page.on("dialog", d => { errors.push("a dialog of the browser: " + d.message()); void d.dismiss() });
    await page.goto(url + "#/" + at);
    const all = () => page.evaluate(() => document.body.innerText.replace(/[\u2068\u2069]/g, "")); // what keeps names apart
    return {
        page, all,
        /** Waits until the page says a text, or something like it. */
        async says(text) {
            const there = said => text instanceof RegExp ? text.test(said) : said.includes(text);
            const until = Date.now() + patience;
            while (!there(await all())) {
                if (Date.now() > until)
                    assert.fail(`the page does not say ${text}, but:\n${await all()}\n${errors.join("\n")}`);
                await new Promise(resolve => setTimeout(resolve, 100));
            }
        },
        async press(name, role = "button") {
            await page.locator(`::-p-aria([name="${name}"][role="${role}"])`).click();
        },
        goTo: place => page.evaluate(hash => { window.location.hash = hash }, "#/" + place),
        /** What a cell of a table says, by the row's first cell and the column's title. */
        cell: (first, title) => page.$$eval("[role=row]", (rows, first, title) => {
            const row = rows.find(r => r.querySelector("td")?.innerText === first);
            return row && [...row.querySelectorAll("td")].find(c => c.dataset.label === title)?.innerText;
        }, first, title),
        async accessible(what) {
            await page.evaluate(axe.source);
            const { violations } = await page.evaluate(() => axe.run(document));
            assert.deepEqual(violations.map(v => [v.id, v.help, ...v.nodes.map(n => n.html + " " + n.failureSummary)].join("\n")), [], what);
        },
        async fits(what) {
            const [needs, has] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
            assert.ok(needs <= has, `${what} needs ${needs} of ${has} pixels`);
        },
        async leave() {
            assert.deepEqual(errors, []);
            await context.close();
        },
    };
}

const exec = promisify(execFile);
export const virsh = async (...args) => (await exec("virsh", ["-c", "qemu:///system", ...args])).stdout.trim();
export const vmhuge = async (...args) => JSON.parse((await exec("vmhuge", ["--json", ...args])).stdout);
