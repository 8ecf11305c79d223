// What only the browser can do: remember light or dark, and call somebody who looks elsewhere.
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
  theme() { try { return localStorage.getItem("multirig-theme") || "auto"; } catch { return "auto"; } },
  keepTheme(name) { try { localStorage.setItem("multirig-theme", name); } catch { /* private window */ } },
};
