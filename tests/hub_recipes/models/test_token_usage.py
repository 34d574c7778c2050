from logs2lang.models.token_usage import TokenUsage


def test_a_model_counts_what_it_reads_and_writes(tiny_language_model):
    prompts = [tiny_language_model.text_ids(text) for text in ("a film about a heist", "films")]
    read = sum(map(len, prompts))
    before = tiny_language_model.usage.copy()
    tiny_language_model.next_token_log_probs(prompts, [5, 6])
    assert tiny_language_model.usage.since(before) == TokenUsage(prompts=2, read=read)

    before, branches = tiny_language_model.usage.copy(), [[[5, 6], [7]], [[8]]]
    tiny_language_model.branch_log_probs(prompts, branches)
    assert tiny_language_model.usage.since(before) == TokenUsage(prompts=2, read=read + 4)

    before = tiny_language_model.usage.copy()
    tiny_language_model.generate(prompts, max_new_tokens=3)
    counted = tiny_language_model.usage.since(before)
    assert (counted.prompts, counted.read) == (2, read)
    assert 0 < counted.written <= 2 * 3
