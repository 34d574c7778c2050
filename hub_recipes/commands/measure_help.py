"""Each measure of the results in a line, with the source of its formula: the end of `logs2lang evaluate --help`."""

MEASURE_LINES = (
    "[bold]recall@k[/]: share of targets among the first k; intervals by Wilson (1927). "
    "[bold]discovery_recall@k[/]: the same over targets that the user never touched (arXiv 2602.20558).",
    "[bold]ndcg@k[/]: mean of 1 / log2(1 + rank) among the first k, as there is one target (Järvelin and Kekäläinen "
    "2002).",
    "[bold]mrr, mrr@k[/]: mean of 1 / rank (Voorhees 1999). [bold]mean_rank[/]: a target that was not ranked has the "
    "mean of the places left.",
    "[bold]ece[/]: how far the probability of the picks lies from the share of hits, in ten bins (Guo et al. 2017, "
    "arXiv 1706.04599).",
    "[bold]novelty[/]: mean of -log2 of the share of users who chose the pick in training, in bits (Zhou et al. 2010, "
    "PNAS 107); [bold]target_novelty[/] of the targets.",
    "[bold]coverage[/]: share of the catalogue picked at least once (Ge et al. 2010, RecSys); "
    "[bold]target_coverage[/]: what the targets would reach.",
    "[bold]order_kept[/]: Spearman's correlation (1904) of the ranking with the order of the candidates, which says "
    "nothing; [bold]order_unchanged[/]: share of rankings that are that order (a hack that GR2 names, arXiv "
    "2602.07774).",
    "[bold]position_bias[/]: total variation distance of the picked places from even ones; [bold]position_p[/]: "
    "Pearson's chi-squared test (1900) of that (the other hack, arXiv 2606.31984).",
    "[bold]tokens_read, tokens_written, seconds_per_example[/]: counted and timed in batches; absent where a cache "
    "held part of the answers.",
    "[bold]compression[/]: tokens of a text divided by the template's. [bold]unsupported_title_rate[/]: titles that "
    "are neither in the log nor among its successors.",
    "[bold]gain[/]: hits relative to template, with a paired bootstrap interval (Efron 1979).",
    "[bold]--against[/]: difference of the means on the same examples, paired bootstrap interval, p of Fisher's "
    "randomisation test (Smucker et al. 2007, CIKM), corrected by Holm (1979).",
)
