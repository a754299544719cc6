"""Controls over a network that loses, delays and reorders: the newest value wins, and soon."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import numpy as np
import pytest
from playwright.async_api import Page, expect

from rtcstream import Image, Range, Stream
from tests.browser import Pages
from tests.conftest import Serve
from tests.footage import heard, loopback, start, stop, until, visit

# A third of what the unreliable channel carries is lost, either way; the rest comes out of order.
LOSSY = """
let seed = 1;
const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
const lose = (deliver) => random() < 0.33 || setTimeout(deliver, 30 * random());
const create = RTCPeerConnection.prototype.createDataChannel;
RTCPeerConnection.prototype.createDataChannel = function (label, options) {
  const channel = create.call(this, label, options);
  if (label !== "rtcstream-set") return channel;
  window.unreliable = channel;
  const { send, addEventListener } = channel;
  channel.send = (text) => lose(() => channel.readyState === "open" && send.call(channel, text));
  channel.addEventListener = (type, listener, options) => addEventListener.call(
    channel, type, type === "message" ? (event) => lose(() => listener(event)) : listener, options);
  return channel;
};
"""

# Moves a slider a step each 20 ms; gives how long each value waited for its acknowledgement, and
# every value that the page has shown as the acknowledged one.
DRAG = """
async ([name, values]) => {
  const input = document.getElementById(`control-${name}`);
  const echo = document.querySelector(`[data-control="${name}"] output`);
  const shown = [], times = new Map(), waits = [];
  new MutationObserver(() => {
    const value = Number(echo.value);
    shown.push(value);
    for (const [each, since] of times) {
      if (each > value) continue;
      waits.push(performance.now() - since);
      times.delete(each);
    }
  }).observe(echo, { childList: true, characterData: true, subtree: true });
  for (const value of values) {
    input.value = value;
    times.set(value, performance.now());
    input.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  while (times.size) await new Promise((resolve) => setTimeout(resolve, 5));
  return { shown, waits };
}
"""

# Settings on two channels that only remember what is sent.
FAKE = """
async () => {
  const { Settings } = await import("./static/settings.js");
  window.sent = [];
  const channel = (label) => ({
    readyState: "open", bufferedAmount: 0, send: (text) => sent.push([label, JSON.parse(text)]),
  });
  window.unreliable = channel("unreliable");
  window.settings = new Settings(unreliable, channel("reliable"));
  window.outcomes = {};
  window.set = (name, values) => settings.set(values).then(
    ({ seq }) => (outcomes[name] = seq), (error) => (outcomes[name] = error.code));
}
"""


async def test_newest_value_wins_over_loss(serve: Serve, pages: Pages) -> None:
    """With a third lost each way, each value is acknowledged soon, and neither the page nor the
    function goes back to an older one."""
    taken: list[int] = []

    def remember(image: Image, level: Annotated[int, Range(0, 200)] = 0) -> Image:
        taken.append(level)
        return image

    async with serve(Stream(remember)) as url:
        page = await visit(pages, url, LOSSY)
        await start(page)
        await until(page, "unreliable.readyState === 'open'")
        drag = await page.evaluate(DRAG, ["level", list(range(1, 201))])
        waits = np.array(drag["waits"])
        print(f"acknowledged after {np.percentile(waits, (50, 95)).round()} ms, of 33% lost")
        assert drag["shown"] == sorted(drag["shown"]) and drag["shown"][-1] == 200
        assert np.percentile(waits, 95) < 1000
        assert taken == sorted(taken)
        await stop(page)


@pytest.fixture
async def fake(serve: Serve, pages: Pages) -> AsyncIterator[Page]:
    """A page with settings on channels that nobody answers."""
    async with serve(Stream(loopback)) as url:
        page = await visit(pages, url)
        await page.evaluate(FAKE)
        yield page


async def sent(page: Page) -> list[tuple[str, dict[str, Any]]]:
    """What has been sent since the last call."""
    return [(label, message["values"]) for label, message in await page.evaluate("sent.splice(0)")]


async def answer(page: Page, seq: int | None, **more: Any) -> Any:
    """Let the server answer; whether the page takes it for news."""
    message = {"type": "controls", "seq": seq, "values": {}, "revision": 0, **more}
    return await page.evaluate(f"settings.hear({json.dumps(message)})")


async def test_only_what_is_newest_is_sent_again(fake: Page) -> None:
    """A value that a newer one overtakes is not repeated, and is done with when that is."""
    await fake.evaluate("set('old', { a: 1 }), set('other', { b: 1 }), set('new', { a: 2 }); 0")
    assert [values for _, values in await sent(fake)] == [{"a": 1}, {"b": 1}, {"a": 2}]
    await until(fake, "sent.length >= 4")
    repeated = [values for _, values in await sent(fake)]
    assert {"a": 2} in repeated and {"b": 1} in repeated and {"a": 1} not in repeated
    await answer(fake, 3)
    assert await fake.evaluate("outcomes") == {"old": 3, "new": 3}
    await answer(fake, 2)
    assert await fake.evaluate("outcomes.other") == 2
    await sent(fake)
    await fake.evaluate("new Promise((resolve) => setTimeout(resolve, 150))")
    assert not await sent(fake), "what has been acknowledged is not repeated"


async def test_rejected_value_overtakes_nothing(fake: Page) -> None:
    """When the newer value is rejected, the older one that was lost is sent again."""
    await fake.evaluate("set('good', { a: 1 }), set('bad', { a: 'x' }); 0")
    await sent(fake)
    error = {"type": "error", "seq": 2, "control": "a", "message": "a number is needed"}
    await fake.evaluate(f"settings.hear({json.dumps(error)})")
    assert await fake.evaluate("outcomes") == {"bad": "rejected"}
    await until(fake, "sent.length")
    assert (await sent(fake))[0][1] == {"a": 1}


async def test_late_answer_is_no_news(fake: Page) -> None:
    """Values older than those that were heard already are not shown."""
    assert await answer(fake, None, revision=4)
    assert not await answer(fake, 1, revision=3)
    assert await answer(fake, None, revision=5)


async def test_reliable_channel_where_there_is_no_other(fake: Page) -> None:
    """Without the unreliable channel values go over the other, once."""
    await fake.evaluate("unreliable.readyState = 'closed'; set('a', { a: 1 }); 0")
    await fake.evaluate("new Promise((resolve) => setTimeout(resolve, 150))")
    assert await sent(fake) == [("reliable", {"a": 1})]


async def test_changes_without_an_answer_are_bounded(fake: Page) -> None:
    """Of too many changes that nobody answers, overtaken ones are given up; the newest stay."""
    await fake.evaluate("set('first', { b: 1 }); for (let n = 0; n < 200; n++) set(n, { a: n }); 0")
    given_up = await fake.evaluate("outcomes")
    assert set(given_up.values()) == {"unanswered"} and len(given_up) == 201 - 64
    assert "first" not in given_up and "199" not in given_up


COUNT_SETS = """
window.sets = 0;
const { send } = RTCDataChannel.prototype;
RTCDataChannel.prototype.send = function (text) {
  sets += JSON.parse(text).type === "set";
  return send.call(this, text);
};
"""


async def test_acknowledged_over_both_channels(serve: Serve, pages: Pages) -> None:
    """The server answers on the channel that a value came by: nothing is said twice."""

    def level(image: Image, level: Annotated[int, Range(0, 20)] = 0) -> Image:
        return image

    async with serve(Stream(level)) as url:
        page = await visit(pages, url, COUNT_SETS)
        await start(page)
        for value in (3, 7):
            await page.get_by_label("Level").fill(str(value))
            await expect(page.locator('[data-control="level"] output')).to_have_text(str(value))
        # A page that waits for long says it again, and is answered again.
        await until(page, "heard.filter(({ type }) => type === 'controls').length > sets")
        numbers = [each["seq"] for each in await heard(page, "controls")]
        assert set(numbers) == {None, 1, 2}
        assert len(numbers) == 1 + await page.evaluate("sets")
        await stop(page)
