import json
import socket

import pytest

from poseras.engine.workers import Cluster, failures_in_one_line, parse_cluster, wait_for_peers

PAIR = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}


def change(**parts):
    return json.dumps({**PAIR, **parts})


def test_a_cluster_is_read_from_tf_config():
    assert parse_cluster(json.dumps(PAIR)) == Cluster(("a:1", "b:2"), 1)


@pytest.mark.parametrize("text", [None, "", "  "])
def test_no_tf_config_means_one_machine(text):
    assert parse_cluster(text) is None


def test_a_single_worker_is_one_machine():
    text = change(cluster={"worker": ["a:1"]}, task={"type": "worker", "index": 0})
    assert parse_cluster(text) is None


@pytest.mark.parametrize(
    "text, message",
    [
        ("{worker: a:1}", "TF_CONFIG must be JSON like"),
        ("[]", "must have cluster.worker, task.type and task.index"),
        (change(task={"type": "worker"}), "'index' is missing"),
        (change(cluster={}), "'worker' is missing"),
        (change(cluster={"worker": "a:1"}), "must list host:port. Received a:1"),
        (change(cluster={"worker": ["a", "b:2"]}), "must be host:port.*Received 'a'"),
        (change(cluster={"worker": ["a:1", "b:99999"]}), "Received 'b:99999'"),
        (change(cluster={"worker": ["a:1", "b:2"], "ps": ["c:3"]}), "must hold workers alone"),
        (change(task={"type": "chief", "index": 0}), "task.type 'chief'"),
        (change(task={"type": "worker", "index": 2}), "must be 0 to 1.*Received 2"),
    ],
)
def test_a_wrong_tf_config_is_a_clear_error(text, message):
    with pytest.raises(ValueError, match=message):
        parse_cluster(text)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_peers_that_answer_are_found():
    with socket.create_server(("127.0.0.1", 0)) as peer:
        addresses = (f"127.0.0.1:{free_port()}", f"127.0.0.1:{peer.getsockname()[1]}")
        wait_for_peers(Cluster(addresses, 0), timeout_s=5)


def test_a_peer_that_does_not_answer_ends_the_wait_with_its_address():
    missing = f"127.0.0.1:{free_port()}"
    cluster = Cluster((f"127.0.0.1:{free_port()}", missing), 0)
    with pytest.raises(ConnectionError, match=f"within 0.3 s: {missing}.*train.peer_timeout_s"):
        wait_for_peers(cluster, timeout_s=0.3)


def test_an_own_port_that_is_taken_is_an_error():
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        cluster = Cluster((f"127.0.0.1:{port}", "127.0.0.1:1"), 0)
        with pytest.raises(OSError, match=f"cannot listen at port {port}"):
            wait_for_peers(cluster, timeout_s=0.1)


def test_a_diverged_run_ends_with_one_line_and_exit_code_1(capsys):
    with pytest.raises(SystemExit) as ended, failures_in_one_line("train.py"):
        raise FloatingPointError("The loss is not\n a finite number.")
    assert ended.value.code == 1
    assert capsys.readouterr().err == "train.py: error: The loss is not a finite number.\n"
