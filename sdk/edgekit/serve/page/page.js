"use strict";

const find = (id) => document.getElementById(id);

function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function headers() {
  const key = find("key").value.trim();
  return { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) };
}

function show(...parts) {
  find("answer").replaceChildren(...parts);
}

function scoreRow(label, score) {
  const row = element("div", "", "score");
  const bar = document.createElement("progress");
  bar.max = 1;
  bar.value = score;
  bar.setAttribute("aria-label", label);
  row.append(element("span", label), bar, element("span", `${(score * 100).toFixed(1)} %`));
  return row;
}

async function classify(event) {
  event.preventDefault();
  find("go").disabled = true;
  try {
    const begun = performance.now();
    const response = await fetch("predict", {
      method: "POST",
      headers: headers(),
      body: JSON.stringify({ text: find("text").value }),
    });
    const answer = await response.json();
    const spent = performance.now() - begun;
    if (!response.ok) {
      if (response.status === 401) find("key-row").hidden = false;
      show(element("p", answer.error.message, "wrong"));
      return;
    }
    const scores = Object.entries(answer.scores).sort((one, other) => other[1] - one[1]);
    const who = answer.model ? ` by the model ${answer.model}` : "";
    show(
      element("p", answer.label, "label"),
      ...scores.map(([label, score]) => scoreRow(label, score)),
      element("p", `${spent.toFixed(1)} ms, there and back${who}`),
    );
  } catch {
    show(element("p", "The service cannot be reached.", "wrong"));
  } finally {
    find("go").disabled = false;
  }
}

find("form").addEventListener("submit", classify);
find("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find("form").requestSubmit();
});
