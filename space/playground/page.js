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

  // A candidate in the list and the places where the text of the same card names it point to each other.
  const twins = (element) => [
    ...element.closest("article").querySelectorAll(`[data-candidate="${CSS.escape(element.dataset.candidate)}"]`),
  ];

  function reveal(named) {
    const frame = named.closest(".text");
    frame.scrollTop = named.offsetTop - frame.clientHeight / 3;
  }

  // A text opens where its pick stands.
  function revealPicks() {
    document.querySelectorAll(".text:not([data-opened]) mark.pick").forEach((named) => {
      named.closest(".text").dataset.opened = "";
      reveal(named);
    });
  }

  function point(element, on) {
    const both = twins(element);
    both.forEach((twin) => twin.classList.toggle("pointed", on && both.length > 1));
    const named = both.find((twin) => twin.tagName === "MARK");
    if (on && named && element.tagName === "LI") reveal(named);
  }

  const candidateAt = (event) => event.target.closest?.("[data-candidate]");

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
  new MutationObserver(() => {
    nameGroups();
    revealPicks();
  }).observe(document.documentElement, { childList: true, subtree: true });

  document.addEventListener("mouseover", (event) => {
    const candidate = candidateAt(event);
    if (candidate) point(candidate, true);
    const sentence = sentenceAt(event);
    if (sentence) mark([sentence]);
    const row = event.target.closest?.("tr[data-record]");
    document.querySelectorAll(".sentence[data-records]").forEach((other) => {
      other.classList.toggle("speaks-of", Boolean(row) && recordsOf(other).includes(row.dataset.record));
    });
  });
  document.addEventListener("mouseout", (event) => {
    const candidate = candidateAt(event);
    if (candidate) point(candidate, false);
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
