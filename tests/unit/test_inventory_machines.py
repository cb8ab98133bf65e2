"""What the machines are set to: files collected from them, or asked for over a command."""

import asyncio
import stat
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

from rwhoisd.formats.findings import FormatError
from rwhoisd.inventory import machines
from rwhoisd.inventory.machines import Machine, arp_faults, ask_machines, by_address, read_machines

WHERE = ip_address("10.0.0.1")
LONG_SECONDS = 120.0  # no machine here takes as long


def collected(folder: Path, **files: str) -> Machine:
    """One machine with files whose paths have ``__`` for a slash and ``_conf`` for ``.conf``."""
    for name, text in files.items():
        path = folder / "web1" / name.replace("__", "/").replace("_conf", ".conf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (machine,), findings = read_machines(folder)
    assert findings == []
    return machine


def arp(interface: str, ignore: int, announce: int) -> str:
    return (
        f"net.ipv4.conf.{interface}.arp_ignore = {ignore}\n"
        f"net.ipv4.conf.{interface}.arp_announce = {announce}\n"
    )


# --- sysctl ---


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (arp("all", 1, 2), 0),
        (arp("eth0", 1, 2), 0),
        (arp("lo", 1, 2), 2),
        (arp("default", 1, 2), 2),
        (arp("all", 0, 0), 2),
        (arp("all", 1, 1), 1),
        (arp("all", 2, 2), 0),
        (arp("all", 0, 0) + arp("eth0", 1, 2), 0),
        (arp("all", 1, 2) + arp("eth0", 0, 0), 0),
        (arp("all", 1, 2) + arp("all", 0, 0), 2),
        ("net/ipv4/conf/all/arp_ignore=1\n-net.ipv4.conf.all.arp_announce=2", 0),
        ("# net.ipv4.conf.all.arp_ignore = 1\n;net.ipv4.conf.all.arp_announce = 2", 2),
        ("net.ipv4.conf.all.arp_ignore = 1 # why\nnet.ipv4.conf.all.arp_announce = 2", 0),
        ("", 2),
    ],
)
def test_arp_settings(tmp_path: Path, text: str, faults: int) -> None:
    machine = collected(tmp_path, etc__sysctl_conf=text)
    told = list(arp_faults(machine))
    assert len(told) == faults
    assert all("set net.ipv4.conf.all.arp_" in fault for fault in told)


def test_files_of_sysctl_d_by_name_and_then_sysctl_conf(tmp_path: Path) -> None:
    files = {
        "etc__sysctl.d__90-off_conf": arp("all", 0, 0),
        "etc__sysctl.d__60-on_conf": arp("all", 1, 2),
    }
    assert list(arp_faults(collected(tmp_path, **files)))
    assert not list(arp_faults(collected(tmp_path, **files, etc__sysctl_conf=arp("all", 1, 2))))


def test_only_conf_files_of_sysctl_d_count(tmp_path: Path) -> None:
    machine = collected(tmp_path, **{"etc__sysctl.d__60-dsr_conf.bak": arp("all", 1, 2)})
    assert machine.arp == {}


# --- addresses ---


def test_netplan_ifcfg_and_interfaces(tmp_path: Path) -> None:
    machine = collected(
        tmp_path,
        **{
            "etc__netplan__60.yaml": (
                "network:\n  ethernets:\n    lo:\n      addresses: [192.0.2.1/32]\n"
                "    eth0:\n      addresses: [10.0.0.1/24]\n"
            ),
            "etc__sysconfig__network-scripts__ifcfg-lo:0": "DEVICE=lo:0\nIPADDR=192.0.2.2\n",
            "etc__sysconfig__network-scripts__ifcfg-eth1": "DEVICE=eth1\nIPADDR=10.0.0.2\n",
            "etc__network__interfaces": (
                "auto lo:1\niface lo:1 inet static\n address 192.0.2.3/32\n"
                "iface eth2 inet static\n address 10.0.0.3/24\n"
            ),
        },
    )
    assert {str(one) for one in machine.loopback} == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}
    assert {str(one) for one in machine.addresses} == {"10.0.0.1", "10.0.0.2", "10.0.0.3"}


def test_what_ip_addr_printed(tmp_path: Path) -> None:
    machine = collected(
        tmp_path,
        **{
            "ip-addr.txt": (
                "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever\n"
                "1: lo    inet 192.0.2.1/32 scope global lo:0\n"
                "1: lo    inet6 2001:db8::1/128 scope global\n"
                "2: eth0    inet 10.0.0.1/24 brd 10.0.0.255 scope global eth0\n"
                "2: eth0    inet6 fe80::1/64 scope link\n"
                "3: eth1.7@eth1    inet 10.0.7.1/24 scope global eth1.7\n"
                "4: dummy0    inet 192.0.2.9/32 scope global dummy0\n"
                "nonsense\n"
            )
        },
    )
    assert {str(one) for one in machine.loopback} == {"192.0.2.1", "2001:db8::1", "192.0.2.9"}
    assert {str(one) for one in machine.addresses} == {"10.0.0.1", "10.0.7.1"}


def test_a_machine_is_found_by_its_address(tmp_path: Path) -> None:
    machine = collected(
        tmp_path, **{"ip-addr.txt": "2: eth0 inet 10.0.0.1/24\n1: lo inet 192.0.2.1"}
    )
    assert by_address([machine]) == {WHERE: machine}


@pytest.mark.parametrize("what", ["missing", "empty", "file"])
def test_a_folder_that_is_none(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "machines"
    if what == "empty":
        folder.mkdir()
    elif what == "file":
        folder.write_text("")
    with pytest.raises(FormatError, match=str(folder)):
        read_machines(folder)


def test_a_broken_file_is_a_finding_and_the_others_count(tmp_path: Path) -> None:
    folder = tmp_path / "web1" / "etc"
    (folder / "netplan").mkdir(parents=True)
    (folder / "netplan" / "1.yaml").write_text("network: [")
    (folder / "sysctl.conf").write_text(arp("all", 1, 2))
    (machine,), findings = read_machines(tmp_path)
    assert "1.yaml" in str(findings[0])
    assert not list(arp_faults(machine))


# --- over a command ---


def command(folder: Path, script: str) -> list[str]:
    """A stand-in for ssh: it gets the host and what is to be run."""
    path = folder / "ask"
    path.write_text(
        f"#!{sys.executable}\nimport os, sys, time\nhost, remote = sys.argv[1:]\n{script}\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return [str(path), "{host}"]


def ask(words: list[str], *hosts: str) -> tuple[list[Machine], list[str]]:
    found, findings = asyncio.run(
        ask_machines(words, [ip_address(h) for h in hosts or (str(WHERE),)])
    )
    return found, [str(finding) for finding in findings]


ANSWER = (
    "print('2: eth0    inet', host + '/24 scope global', flush=True)\n"
    "print('1: lo    inet 192.0.2.1/32 scope global', flush=True)\n"
    "time.sleep(0.2)\n"
    "print('net.ipv4.conf.all.arp_ignore = 1', flush=True)\n"
    "time.sleep(0.2)\n"
    "print('net.ipv4.conf.all.arp_announce = 2', flush=True)\n"
)


def test_all_that_a_machine_prints_counts_however_it_comes(tmp_path: Path) -> None:
    found, findings = ask(command(tmp_path, ANSWER), "10.0.0.1", "10.0.0.2")
    assert findings == []
    assert [machine.name for machine in found] == ["10.0.0.1", "10.0.0.2"]
    for machine in found:
        assert list(arp_faults(machine)) == []
        assert machine.loopback == {ip_address("192.0.2.1")}
        assert machine.addresses == {ip_address(machine.name)}


def test_what_is_run_there_reads_only(tmp_path: Path) -> None:
    found, _ = ask(
        command(tmp_path, "print('9: x inet 10.9.9.9' if 'ip -o addr show' in remote else '')")
    )
    assert ip_address("10.9.9.9") in found[0].addresses


def test_nothing_of_ours_is_a_shell(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    found, findings = ask([*command(tmp_path, ANSWER)[:1], f"{{host}};touch {mark}"])
    assert not mark.exists()
    assert found
    assert findings == []


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("sys.exit(255)", "could not be asked: the command ended with status 255"),
        ("print('x' * (1 << 21))", "could not be asked: the command prints more than"),
        ("while True: print('y' * 1000)", "could not be asked: the command prints more than"),
        ("time.sleep(999)", "could not be asked: took too long"),
        ("os.system('sleep 999')", "could not be asked: took too long"),
        ("os.close(1); time.sleep(999)", "could not be asked: took too long"),
        ("print('x', flush=True); time.sleep(999)", "could not be asked: took too long"),
    ],
    ids=["fails", "much", "flood", "hangs", "child hangs", "silent", "half"],
)
def test_a_machine_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    monkeypatch.setattr(machines, "SSH_SECONDS", 1.0 if "too long" in told else LONG_SECONDS)
    found, (finding,) = ask(command(tmp_path, script))
    assert found == []
    assert finding.startswith("machine 10.0.0.1: warning: ")
    assert told in finding


def test_a_command_that_is_not_there_is_told(tmp_path: Path) -> None:
    found, (finding,) = ask([str(tmp_path / "nothing"), "{host}"])
    assert found == []
    assert "could not be asked" in finding


def test_one_that_hangs_does_not_keep_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "if host == '10.0.0.1': time.sleep(999)\n" + ANSWER
    for seconds in (1.5, 10.0, LONG_SECONDS):  # the other one needs some
        monkeypatch.setattr(machines, "SSH_SECONDS", seconds)
        found, findings = ask(command(tmp_path, script), "10.0.0.1", "10.0.0.2")
        if found:
            break
    assert [machine.name for machine in found] == ["10.0.0.2"]
    assert len(findings) == 1
