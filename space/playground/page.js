// Sentences mark the records they speak of, and records the sentences. Listeners sit on the document, because Gradio
// replaces what stands below it.
(() => {
  const recordsOf = (sentence) => sentence.dataset.records.split(" ");

  function mark(sentences) {
    const records = new Set(sentences.flatMap(recordsOf));
    document.querySelectorAll("tr[data-record]").forEach((row) => {
      row.classList.toggle("spoken-of", records.has(row.dataset.record));
    });
    const first = document.querySelector("tr.spoken-of");
    const frame = first && first.closest(".log-scroll");
    if (frame) frame.scrollTop = first.offsetTop - frame.clientHeight / 3;
  }

  const pressed = () => [...document.querySelectorAll('.sentence[aria-pressed="true"]')];

  function press(sentence) {
    const wasPressed = sentence.getAttribute("aria-pressed") === "true";
    pressed().forEach((other) => other.setAttribute("aria-pressed", "false"));
    sentence.setAttribute("aria-pressed", String(!wasPressed));
    mark(pressed());
  }

  const sentenceAt = (event) => event.target.closest?.(".sentence[data-records]");

  // Gradio names each radio on its own and the group not at all: the arrow keys would not go from one to the next, and
  // a screen reader would not say what is asked.
  function nameGroups() {
    document.querySelectorAll("fieldset").forEach((group) => {
      const [first, ...others] = group.querySelectorAll('input[type="radio"]');
      others.filter((radio) => radio.name !== first.name).forEach((radio) => (radio.name = first.name));
      const info = group.querySelector('[data-testid="block-info"]');
      if (info && !group.hasAttribute("aria-label")) group.setAttribute("aria-label", info.textContent.trim());
    });
  }
  new MutationObserver(nameGroups).observe(document.documentElement, { childList: true, subtree: true });

  document.addEventListener("mouseover", (event) => {
    const sentence = sentenceAt(event);
    if (sentence) mark([sentence]);
    const row = event.target.closest?.("tr[data-record]");
    document.querySelectorAll(".sentence[data-records]").forEach((other) => {
      other.classList.toggle("speaks-of", Boolean(row) && recordsOf(other).includes(row.dataset.record));
    });
  });
  document.addEventListener("mouseout", (event) => {
    if (sentenceAt(event)) mark(pressed());
  });
  document.addEventListener("click", (event) => {
    const sentence = sentenceAt(event);
    if (sentence) press(sentence);
  });
  document.addEventListener("keydown", (event) => {
    const sentence = sentenceAt(event);
    if (sentence && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      press(sentence);
    }
  });
})();
