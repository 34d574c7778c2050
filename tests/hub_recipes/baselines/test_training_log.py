from logs2lang.baselines.training_log import TrainingLog


def named(log):
    return [(user, log.item_ids[item]) for user, item in zip(log.users.tolist(), log.items, strict=True)]


def test_what_was_only_advertised_was_not_chosen(training):
    assert named(TrainingLog.of(training("a!b", "!bc"))) == [(0, "a"), (1, "c")]


def test_choices_stand_by_user_and_then_in_time(training):
    shuffled = training("abc", "de").iloc[[4, 1, 3, 2, 0]]
    assert named(TrainingLog.of(shuffled)) == [(0, "d"), (0, "e"), (1, "a"), (1, "b"), (1, "c")]


def test_choices_of_one_instant_keep_their_order(training):
    same_instant = training("cab").assign(timestamp=training("a")["timestamp"][0])
    assert named(TrainingLog.of(same_instant)) == [(0, "c"), (0, "a"), (0, "b")]


def test_the_audience_counts_users_and_not_how_often_they_came_back(training):
    log = TrainingLog.of(training("aab", "a", "b!a", "b"))
    assert dict(zip(log.item_ids, log.audience, strict=True)) == {"a": 2, "b": 3}
    assert (log.num_users, log.num_items) == (4, 2)
