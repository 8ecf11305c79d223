// What only the browser can do: remember light or dark, call somebody who looks elsewhere, show pictures cheaply.
window.multirig = {
  canNotify() {
    if (!window.isSecureContext || !("Notification" in window)) return "impossible";
    return Notification.permission; // default, granted or denied
  },
  async askToNotify() {
    if (this.canNotify() === "impossible") return "impossible";
    return await Notification.requestPermission();
  },
  notify(title, text) {
    if (this.canNotify() === "granted") new Notification(title, { body: text, tag: "multirig", renotify: true });
  },
  // To update an element by its properties has the whole page rendered anew, for each picture of each camera.
  see(pictures, tries = 10) {
    const left = { ...pictures };
    for (const image of document.querySelectorAll("img[data-picture]")) {
      const camera = image.dataset.picture;
      if (!(camera in pictures)) continue;
      image.src = pictures[camera]; // on its card, and where it is enlarged
      delete left[camera];
    }
    if (tries && Object.keys(left).length) setTimeout(() => this.see(left, tries - 1), 100); // not built yet
  },
  // A page that has lost its console must not look as if all that it shows were true.
  watchConnection() {
    let lost = 0;
    setInterval(() => {
      lost = window.socket && window.socket.connected ? 0 : lost + 1;
      document.body.classList.toggle("cut-off", lost > 3);
    }, 500);
  },
  theme() { try { return localStorage.getItem("multirig-theme") || "auto"; } catch { return "auto"; } },
  keepTheme(name) { try { localStorage.setItem("multirig-theme", name); } catch { /* private window */ } },
};
window.multirig.watchConnection();
