// Chapters before the API reference, whatever a word scores there (Sphinx's own weights otherwise).
var Scorer = {
  score: ([page, , , , score]) => (/^(api\/|genindex|py-modindex)/.test(page) ? score - 1000 : score),
  objNameMatch: 11, objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 }, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,
};
