() => {
  const parse = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const over = (front, back) => { const a = front[3] ?? 1; return [0, 1, 2].map(i => front[i] * a + back[i] * (1 - a)); };
  const shine = (colour) => { const [r, g, b] = colour.map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (one) => { const chain = []; for (let at = one; at; at = at.parentElement) chain.unshift(at);
    return chain.reduce((back, at) => over(parse(getComputedStyle(at).backgroundColor), back), [255, 255, 255]); };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const words = walk.currentNode.textContent.trim(), one = walk.currentNode.parentElement;
    const style = getComputedStyle(one), box = one.getBoundingClientRect();
    if (!words || !box.width || style.visibility === "hidden" || ["SCRIPT", "STYLE"].includes(one.tagName)) continue;
    let see = 1;
    for (let at = one; at; at = at.parentElement) see *= Number(getComputedStyle(at).opacity);
    if (see === 0) continue;
    const back = ground(one), ink = over([...parse(style.color).slice(0, 3), (parse(style.color)[3] ?? 1) * see], back);
    const [dark, light] = [shine(back), shine(ink)].sort((x, y) => x - y);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${one.tagName}.${one.className} ${words.slice(0, 40)}`);
  }
  return found;
}
