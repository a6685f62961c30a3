"""Connections to real sshd processes: commands, their input and output, and how they end."""

from ssh_hosts import Operator

from weaver.deployers.ssh.client import connect


def test_a_command_runs_in_the_home_of_its_host(ssh_hosts: Operator) -> None:
    for host in ssh_hosts.hosts:
        with connect(host.listed) as connection:
            done = connection.run('pwd; echo "$HOME" >&2; exit 3', timeout=10)
        assert done.exit_code == 3
        assert done.stdout.decode().strip() == str(host.home)
        assert done.stderr.decode().strip() == str(host.home)
