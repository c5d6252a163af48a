"""Start, stop and describe the cluster of plain processes.

`up` can be repeated at any time and after anything: what runs and is ours is left alone, what has
ended is started again on its data, and what an unfinished start left behind is cleared away first.
`down` leaves the machine as it was.
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cache import exclusive, write_atomically
from hack.cluster import (
    binaries,
    control_plane,
    gpu,
    leftovers,
    network,
    nodes,
    prerequisites,
    simulated,
    storage,
)
from hack.cluster.api import Api, wait_until
from hack.cluster.kubeconfig import remove_admin_kubeconfig, write_admin_kubeconfig
from hack.cluster.pki import make_pki
from hack.cluster.processes import ProcessTable, boot_id
from hack.cluster.profile import BRIDGE_ADDRESSES, Profile
from hack.errors import SetupError
from hack.images import load
from hack.steps import say, step

if TYPE_CHECKING:
    from collections.abc import Iterator

GRACE_SECONDS = 2.0
SERVICE_SECONDS = 30.0
MARK = "cluster.json"


def process_table(profile: Profile) -> ProcessTable:
    """The programs of this cluster."""
    return ProcessTable(folder=profile.state / "processes", logs=profile.state / "logs")


@contextmanager
def locked(profile: Profile) -> Iterator[None]:
    """One `up` or `down` at a time; readers need no lock."""
    root = profile.lock.parent
    if not root.exists():
        try:
            root.mkdir(parents=True)
        except PermissionError as problem:
            raise SetupError(f"{root} cannot be made: run this with sudo") from problem
    with exclusive(profile.lock):
        yield


def recipe_version() -> str:
    """Changes when these tools do: a cluster made by an older version says so."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def read_mark(profile: Profile) -> dict[str, str]:
    """What the last complete start wrote down; empty if there was none in this boot."""
    try:
        mark = json.loads((profile.state / MARK).read_text())
    except (OSError, ValueError):
        return {}
    return mark if isinstance(mark, dict) and mark.get("boot") == boot_id() else {}


def component_names(profile: Profile) -> list[str]:
    """Every program that a complete cluster runs, in the order in which `down` ends them."""
    control = ["kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"]
    if profile.simulated:
        return ["kwok", "local-path-provisioner", *control]
    kubelets = [f"kubelet-{node.name}" for node in profile.nodes]
    services = ["local-path-provisioner", "coredns", "kube-proxy"]
    runtimes = [f"containerd-{node.name}" for node in profile.nodes]
    return [*kubelets, *runtimes, "registry", *services, *control]


def is_up(profile: Profile) -> bool:
    """Whether the cluster was completely started, runs completely and answers."""
    table = process_table(profile)
    return (
        bool(read_mark(profile))
        and all(table.running(name) for name in component_names(profile))
        and Api(profile).ready()
    )


def build(profile: Profile) -> None:
    """Make the programs that `up` starts: minutes where it was never done, a moment otherwise."""
    prerequisites.require_linux()
    wanted = (prerequisites.OPENSSL,) if profile.simulated else prerequisites.FOR_CONTAINERS
    prerequisites.ensure(wanted, system=prerequisites.this_system())
    binaries.cluster_binary()
    binaries.module_binary(binaries.LOCAL_PATH_PROVISIONER)
    if profile.simulated:
        binaries.module_binary(binaries.KWOK)
    else:
        load.system_images()


def up(profile: Profile) -> None:
    """Start the cluster, or what is missing of it, and give the checkout its kubeconfig."""
    prerequisites.require_linux()
    if profile.needs_root:
        prerequisites.require_root(prerequisites.this_system())
    with locked(profile):
        if is_up(profile):
            already_up(profile)
            return
        if profile.state.exists() and not read_mark(profile):
            with step("clear away what an unfinished start or an earlier boot left"):
                clear(profile)
        start(profile)
        mark = {"boot": boot_id(), "recipe": recipe_version()}
        write_atomically(profile.state / MARK, json.dumps(mark))
        write_admin_kubeconfig(profile)
    say(f"cluster `{profile.name}` is up: {profile.purpose}; kubeconfig: {profile.kubeconfig}")


def already_up(profile: Profile) -> None:
    """A cluster that runs needs nothing but the checkout's way to it."""
    binaries.link_kubectl(binaries.linked_binary(profile.state / "bin"))
    write_admin_kubeconfig(profile)
    say(f"cluster `{profile.name}` is already up; kubeconfig: {profile.kubeconfig}")
    if read_mark(profile).get("recipe") != recipe_version():
        say("it was started by another version of these tools; `down` and `up` renew it")


def start(profile: Profile) -> None:
    """Everything in the order in which one part needs the other."""
    build(profile)
    table = process_table(profile)
    binary = binaries.cluster_binary()
    provisioner = binaries.module_binary(binaries.LOCAL_PATH_PROVISIONER)
    profile.state.mkdir(parents=True, exist_ok=True)
    # Volumes of pods that run as other users are below this folder.
    profile.state.chmod(0o755)
    binaries.link_components(profile.state / "bin", binary)
    binaries.link_kubectl(binary)
    control_plane.require_free_ports(profile, table)
    if profile.simulated:
        start_simulated(profile, table, provisioner)
    else:
        start_real(profile, table, provisioner)


def start_simulated(profile: Profile, table: ProcessTable, provisioner: Path) -> None:
    """The control plane, and KWOK in place of nodes."""
    kwok = binaries.module_binary(binaries.KWOK)
    with step("make certificates"):
        make_pki(profile)
    with step("start etcd and the API server"):
        control_plane.start_api_server(profile, table)
    with step("start the controller manager, the scheduler and KWOK"):
        control_plane.start_controllers(profile, table)
        table.start(simulated.kwok_component(profile, str(kwok)))
    with step(f"make {len(simulated.simulated_nodes())} simulated nodes"):
        simulated.apply_nodes(profile)
        simulated.wait_for_simulated_nodes(profile, table)
    start_storage(profile, table, provisioner)


def start_real(profile: Profile, table: ProcessTable, provisioner: Path) -> None:
    """The control plane, the network, and the nodes with their container runtimes."""
    system_images = load.system_images()
    network.require_no_foreign_proxy()
    with step("make certificates"):
        make_pki(profile)
    with step("set up the bridge"):
        network.set_kernel(profile)
        network.make_bridge(profile)
        network.allow_forwarding(profile)
        network.write_plugin_configuration(profile)
        table.start(load.registry_component(profile))
    with step("start etcd and the API server"):
        control_plane.start_api_server(profile, table)
    with step("start the controller manager, the scheduler, kube-proxy and DNS"):
        control_plane.start_controllers(profile, table)
        table.start(network.proxy_component(profile))
        table.start(network.dns_component(profile))
    with step("start the container runtimes"), ThreadPoolExecutor() as pool:
        for done in [
            pool.submit(nodes.start_containerd, profile, node, table) for node in profile.nodes
        ]:
            done.result()
    load.load_images(profile, system_images)
    with step("start the kubelets and wait for the nodes"):
        nodes.start_kubelets(profile, table)
        gpu.simulate_gpus(profile)
    start_storage(profile, table, provisioner)
    with step("wait for DNS"):
        wait_for_dns(table)


def start_storage(profile: Profile, table: ProcessTable, provisioner: Path) -> None:
    """The storage classes and the provisioner behind them."""
    with step("set up storage classes"):
        storage.make_volume_folders(profile)
        storage.apply_storage(profile)
        table.start(storage.provisioner_component(profile, str(provisioner)))


def wait_for_dns(table: ProcessTable) -> None:
    """DNS is the last thing that a pod cannot do without."""
    name = f"kubernetes.default.svc.{network.CLUSTER_DOMAIN}"
    wait_until(
        lambda: network.resolves(name, server=BRIDGE_ADDRESSES[0]),
        what=f"{name} has an address",
        seconds=SERVICE_SECONDS,
        meanwhile=lambda: table.require("coredns"),
    )


def down(profile: Profile) -> None:
    """Stop everything and leave nothing behind."""
    if not profile.lock.parent.exists():
        say(f"cluster `{profile.name}` is not there")
        return
    if profile.needs_root:
        prerequisites.require_root(prerequisites.this_system())
    with locked(profile):
        existed = profile.state.exists()
        if existed:
            with step(f"stop cluster `{profile.name}` and remove what it made"):
                clear(profile)
        remove_admin_kubeconfig(profile)
        profile.lock.unlink(missing_ok=True)
    leftovers.remove_if_empty(profile.lock.parent)
    say(f"cluster `{profile.name}` is {'down' if existed else 'not there'}")


def clear(profile: Profile) -> None:
    """End all programs and containers and remove all traces, whatever state they are in."""
    table = process_table(profile)
    order = component_names(profile)
    known = table.names()
    kubelets = [name for name in known if name.startswith("kubelet-")]
    table.stop(kubelets, grace=GRACE_SECONDS)
    if not profile.simulated:
        leftovers.stop_containers(profile)
    others = [name for name in order if name not in kubelets]
    table.stop([*others, *(name for name in known if name not in order)], grace=GRACE_SECONDS)
    if not profile.simulated:
        # Once more: a container may have been started while its runtime still ran.
        leftovers.stop_containers(profile)
        leftovers.unmount_all(profile.state)
        leftovers.remove_control_groups(profile)
        leftovers.remove_shared_files(profile)
        network.remove_bridge(profile)
        network.remove_rules()
        network.restore_kernel(profile)
    leftovers.remove_state(profile)


def status(profile: Profile) -> bool:
    """Say what runs; whether everything does."""
    table = process_table(profile)
    if not profile.state.exists():
        say(f"cluster `{profile.name}` is down")
        return False
    missing = [name for name in component_names(profile) if not table.running(name)]
    ready = Api(profile).ready()
    for name in component_names(profile):
        process = table.running(name)
        say(f"  {name:26} {'process ' + str(process.pid) if process else 'not running'}")
    say(f"  API server {profile.server} is {'ready' if ready else 'not ready'}")
    complete = not missing and ready and bool(read_mark(profile))
    say(f"cluster `{profile.name}` is {'up' if complete else 'incomplete: run `up` again'}")
    return complete
