// The page on a real host: integration's TestCockpit makes its guests, and serves it.
import assert from "node:assert/strict";
import fs from "node:fs";
import { after, test } from "node:test";
import { close, virsh, visit, vmhuge } from "./browser.js";

const { ROOT, NOBODY, BARE } = process.env;
const hostile = JSON.parse(process.env.HOSTILE);
after(close);

const uuid = name => virsh("domuuid", "--", name);
const xml = name => virsh("dumpxml", "--inactive", "--", name);

test("the overview has the numbers of vmhuge status", async () => {
    const v = await visit(ROOT);
    await v.says("Pools of huge pages");
    const { pools: [pool] } = await vmhuge("status");
    assert.equal(await v.cell(String(pool.node), "Total"), String(pool.total));
    assert.equal(await v.cell(String(pool.node), "Free"), String(pool.free - pool.reserved));
    assert.equal(await v.cell(String(pool.node), "Pages"), "2 MiB");
    await v.says("What to do: "); // the cure of what the host lacks
    await v.leave();
});

test("a guest is put on huge pages after its diff was shown, starts, and proves it", async () => {
    const id = await uuid("web1"), before = await xml("web1");
    const v = await visit(ROOT, { at: "guests" });
    await v.says("web1");
    await v.press("web1", "link");
    await v.says("Would it start now?");

    await v.press("Put on huge pages…");
    await v.says("+  <memoryBacking>");
    const { pools } = await vmhuge("status");
    assert.deepEqual(await v.page.$$eval("#pages option", all => all.map(o => o.value)),
        ["", ...new Set(pools.map(p => `--size=${p.page_size_kib}K`)), "--size=auto", "--thp"], "the sizes that the host has");
    assert.equal(await xml("web1"), before, "nothing changes before it is confirmed");
    await v.press("Change its definition");
    await v.says("web1 is on huge pages from its next start on.");
    assert.match(await xml("web1"), /<hugepages>\s*<page size='2048' unit='KiB'\/>/);

    await v.press("Start…");
    await v.says("It takes 48 pages of 2 MiB.");
    await v.press("Start");
    await v.says("web1 runs; 100 % of its RAM is on huge pages.");
    await v.says("All 96 MiB of its RAM is on huge pages.");
    const { domains: [proof] } = await vmhuge("verify", "--", id);
    assert.equal(proof.verdict, "all-huge");
    await v.says(proof.evidence[0]);

    await virsh("destroy", id); // by someone else
    await v.says(/State\s+shut off/);

    await v.press("Take off huge pages…");
    await v.says("-  <memoryBacking>");
    await v.press("Change its definition");
    await v.says("web1 is off huge pages from its next start on.");
    assert.equal(await xml("web1"), before);
    await v.leave();
});

test("a start that the host refuses names its cause and cure", async () => {
    const id = await uuid("vast1");
    const v = await visit(ROOT, { at: "guests/" + id });
    await v.says("No: not enough huge pages.");
    await v.press("Start…");
    await v.says("It can't start: not enough huge pages.");
    await v.press("Start");
    await v.says("vast1 was not started: not enough huge pages.");
    await v.says(/Needed: .*pages/);
    await v.says("What to do:");
    await v.press("Close");
    assert.equal(await virsh("domstate", id), "shut off");
    await v.leave();
});

test("names are data", async () => {
    const v = await visit(ROOT, { at: "guests" });
    await v.says(hostile[0].shown);
    const shown = await v.page.$$eval("bdi.name", names => names.map(n => n.textContent));
    for (const { name, shown: want } of hostile) {
        assert.ok(shown.includes(want), `${JSON.stringify(name)} is shown as ${JSON.stringify(want)}, of ${JSON.stringify(shown)}`);
        const id = await uuid(name);
        await v.goTo("guests/" + id);
        await v.says(id);
        await v.press("Put on huge pages…");
        await v.says("+  <memoryBacking>");
        await v.press("Change its definition");
        await v.says(want + " is on huge pages from its next start on.");
        assert.match(await xml(id), /<hugepages>/);
    }
    assert.equal(await v.page.$("img"), null);
    assert.match(await v.page.title(), /Huge pages$/);
    await v.leave();
});

test("prepare shows what it would do, does it, and undo takes it back", async () => {
    const pages = () => Number(fs.readFileSync("/proc/sys/vm/nr_hugepages", "utf8"));
    const before = pages();
    const v = await visit(ROOT, { at: "host" });
    await v.says("Pages in the pool, at least");
    await v.page.type("#prepare-pages", String(before + 8));
    await v.press("Prepare…");
    await v.says("This would change:");
    assert.equal(pages(), before);
    await v.press("Prepare");
    await v.says(/The host is prepared/);
    assert.equal(pages(), before + 8);
    await v.press("Undo…");
    await v.says("This would be reverted:");
    await v.says("16 MiB of huge pages");
    await v.press("Undo");
    await v.says("The host is as it was; 16 MiB of huge pages were freed.");
    assert.equal(pages(), before);
    await v.leave();
});

test("the hook is installed, its calls are followed, and it is removed", async () => {
    const file = "/etc/libvirt/hooks/qemu.d/90-vmhuge";
    const v = await visit(ROOT, { at: "host" });
    await v.press("Install…");
    await v.says(file);
    assert.ok(!fs.existsSync(file));
    await v.press("Install");
    await v.says("The hook is installed.");
    assert.ok(fs.existsSync(file));
    const id = await uuid("web1");
    await vmhuge("enable", "--", id);
    await virsh("start", id);
    await v.says("pages are there");
    await virsh("destroy", id);
    await v.says("pages freed");
    await vmhuge("disable", "--", id);
    await v.press("Remove…");
    await v.says("This would change:");
    await v.press("Remove");
    await v.says("The hook is removed.");
    assert.ok(!fs.existsSync(file));
    await v.leave();
});

test("a pasted text gets its cause", async () => {
    const v = await visit(ROOT, { at: "explain" });
    await v.says("What libvirt or QEMU said");
    await v.page.type("#said", "qemu-system-x86_64: unable to map backing store for guest RAM: Cannot allocate memory");
    await v.press("Explain");
    await v.says("What to do:");
    await v.page.$eval("#said", area => area.select());
    await v.page.type("#said", "<b>bold</b> nonsense");
    await v.press("Explain");
    await v.says("vmhuge does not know this message.");
    await v.leave();
});

test("without rights the page shows what it can, and offers no change", async () => {
    const v = await visit(NOBODY);
    await v.says("Administrative access is needed");
    await v.says("Pools of huge pages");
    await v.goTo("host");
    await v.says("Undo…");
    const enabled = await v.page.$$eval("main section button", buttons => buttons.filter(b => !b.disabled && /…$/.test(b.innerText)).map(b => b.innerText));
    assert.deepEqual(enabled, []);
    await v.leave();
});

test("a host without vmhuge is told so", async () => {
    const v = await visit(BARE);
    await v.says("vmhuge is not installed on this host.");
    await v.leave();
});

test("it speaks German", async () => {
    const v = await visit(ROOT, { lang: "de", at: "guests" });
    await v.says("Gäste dieses Hosts");
    assert.equal(await v.page.$eval("html", html => html.lang), "de");
    await v.leave();
});

test("the keyboard alone opens a dialog, leaves it, and is where it was", async () => {
    const v = await visit(ROOT, { at: "guests/" + await uuid("web1") });
    await v.says("Would it start now?");
    const focused = () => v.page.evaluate(() => document.activeElement.innerText);
    for (let i = 0; i < 30 && await focused() !== "Put on huge pages…"; i++)
        await v.page.keyboard.press("Tab");
    assert.equal(await focused(), "Put on huge pages…");
    await v.page.keyboard.press("Enter");
    await v.says("+  <memoryBacking>");
    assert.ok(await v.page.evaluate(() => !!document.activeElement.closest("[role=dialog]")), "the focus is in the dialog");
    await v.page.keyboard.press("Escape");
    await v.page.waitForFunction(() => !document.querySelector("[role=dialog]") && document.activeElement.innerText === "Put on huge pages…");
    await v.leave();
});

for (const [scheme, width] of [["light", 1280], ["dark", 320]]) {
    test(`every place is accessible and fits the screen, ${scheme}, ${width} pixels wide`, async () => {
        const v = await visit(ROOT, { scheme, width });
        await v.says("What is fine");
        const web1 = await uuid("web1");
        for (const [place, said] of [["", "What is fine"], ["guests", "web1"], ["guests/" + web1, "Yes: "], ["host", "Hook calls"], ["explain", "What libvirt"]]) {
            await v.goTo(place);
            await v.says(said);
            await v.accessible(place);
            await v.fits(place);
        }
        await v.goTo("guests/" + web1);
        await v.press("Put on huge pages…");
        await v.says("+  <memoryBacking>");
        await v.accessible("the dialog");
        await v.fits("the dialog");
        const [, brightness] = /rgba?\((\d+)/.exec(await v.page.evaluate(() => getComputedStyle(document.querySelector("main")).color));
        assert.equal(brightness > 127, scheme === "dark", "the text's colour");
        await v.leave();
    });
}

test("a running guest is collapsed, and stopped", async () => {
    const id = await uuid("idle1"); // it runs, on small pages
    const v = await visit(ROOT, { at: "guests/" + id });
    await v.says(/of its 96 MiB of RAM is on huge pages/);
    await v.press("Collapse…");
    await v.says("can be tried");
    await v.press("Collapse");
    await v.says(/of its RAM is on huge pages, and 95 % were asked for|: (9\d|100).* of its RAM is on huge pages/);
    await v.page.keyboard.press("Escape");
    await v.press("Stop…");
    await v.says("It is asked to shut down.");
    await v.press("Stop");
    await v.says(/idle1 is shut off/);
    assert.equal(await virsh("domstate", id), "shut off");
    await v.leave();
});
