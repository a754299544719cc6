import { RtcStream } from "./tint/static/rtcstream.js";

const stream = new RtcStream("./tint/");
const start = document.querySelector("#start");
const message = document.querySelector("#message");
const colours = [...document.querySelectorAll(".colour")];

stream.on("track", () => (document.querySelector("#picture").srcObject = stream.media));

start.addEventListener("click", async () => {
  start.disabled = true;
  try {
    const camera = await navigator.mediaDevices.getUserMedia({ video: true });
    await stream.start({ tracks: camera.getTracks(), values: { colour: "ocean" } });
    for (const button of colours) button.disabled = false;
  } catch (error) {
    message.textContent = error.message;
    start.disabled = false;
  }
});

for (const button of colours) {
  button.addEventListener("click", () => stream.set({ colour: button.value }));
}

// The server's word on what the values are, after each change.
stream.on("controls", ({ values }) => {
  for (const button of colours) {
    button.setAttribute("aria-pressed", String(button.value === values.colour));
  }
});
stream.on("log", ({ message: text }) => (message.textContent = text));
