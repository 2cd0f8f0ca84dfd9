//! The rules about fence devices and what they ping, where they are broken.

use super::*;

pub(super) fn device_cases() -> Vec<Case> {
    let delay = "name=\"pcmk_delay_base\" value=\"1s\"";
    let listed = |node: &str| format!("name=\"pcmk_host_list\" value=\"{node}\"");
    let of_node2 = |to: &str| with(ACTIVE, &listed("node2"), to);
    let level = "<fencing-level id=\"l\" target=\"node2\" index=\"1\" devices=\"fence-node2\"/>";
    let topology = format!("</resources><fencing-topology>{level}</fencing-topology>");
    let on_level = |xml: &str| with(xml, "</resources>", &topology);
    // The second device waits as long as the first one, by its own parameter or by Pacemaker's.
    let second = |name: &str| {
        of_node2(&format!("{}/><nvpair id=\"sd\" name=\"{name}\" value=\"1s\"", listed("node2")))
    };
    let each = |parameters: &[(&str, &str)]| {
        let pair = |(name, value): &(&str, &str)| {
            format!("/><nvpair id=\"d-{name}\" name=\"{name}\" value=\"{value}\"")
        };
        let pairs: String = parameters.iter().map(pair).collect();
        let of = |xml: &str, node| with(xml, &listed(node), &format!("{}{pairs}", listed(node)));
        of(&of(&with(ACTIVE, delay, "name=\"x\" value=\"1s\""), "node1"), "node2")
    };
    let start = ACTIVE.find("<primitive id=\"fence-node2\"").unwrap();
    let end = start + ACTIVE[start..].find("</primitive>").unwrap() + "</primitive>".len();
    let shared = with(ACTIVE, &ACTIVE[start..end], "");
    let shared = with(&shared, &listed("node1"), &listed("node1 node2"));
    let found = |rule, xml, sentence, command| (rule, host(), xml, sentence, command);
    vec![
        found(
            "fencing-delay",
            with(ACTIVE, delay, "name=\"x\" value=\"1s\""),
            "has a delay",
            "update fence-node1 pcmk_delay_base=5s",
        ),
        found(
            "fencing-delay",
            with(ACTIVE, delay, "name=\"pcmk_delay_base\" value=\"0s\""),
            "has a delay",
            "update fence-node1 pcmk_delay_base=5s",
        ),
        found(
            "fencing-delay",
            second("pcmk_delay_base"),
            "every fence device waits for 1s",
            "pcs stonith update fence-node2 pcmk_delay_base=0s",
        ),
        found(
            "fencing-delay",
            second("delay"),
            "every fence device waits for 1s",
            "pcs stonith update fence-node2 delay=0",
        ),
        // A delay of a device for both nodes is the same for both.
        found(
            "fencing-delay",
            with(&shared, delay, "name=\"x\" value=\"1s\""),
            "no fence device has a delay",
            "pcs stonith update fence-node1 pcmk_delay_max=10s",
        ),
        found(
            "fencing-delay",
            shared,
            "every fence device waits for 1s",
            "pcs stonith update fence-node1 pcmk_delay_base=0s pcmk_delay_max=10s",
        ),
        // Pacemaker limits the base by the maximum, and then nothing is random.
        found(
            "fencing-delay",
            each(&[("pcmk_delay_base", "10s"), ("pcmk_delay_max", "5s")]),
            "every fence device waits for 5s (the delay is random only if",
            "pcs stonith update fence-node2 pcmk_delay_base=0s pcmk_delay_max=0s",
        ),
        found(
            "fencing-delay",
            each(&[("pcmk_delay_base", "5"), ("pcmk_delay_max", "5s")]),
            "every fence device waits for 5s (the delay is random only if",
            "pcs stonith update fence-node2 pcmk_delay_base=0s pcmk_delay_max=0s",
        ),
        // rand() % 1
        found(
            "fencing-delay",
            each(&[("pcmk_delay_max", "1s")]),
            "no fence device has a delay (the delay is random only if",
            "pcs stonith update fence-node1 pcmk_delay_base=5s pcmk_delay_max=0s",
        ),
        // Less than a second is none.
        found(
            "fencing-delay",
            each(&[("pcmk_delay_base", "500ms")]),
            "no fence device has a delay:",
            "pcs stonith update fence-node1 pcmk_delay_base=5s",
        ),
        // A level does not make the device fit.
        found(
            "fencing-node",
            on_level(&of_node2(&listed("nod2"))),
            "no fence device is for node2",
            "pcs stonith update fence-node2 pcmk_host_list=node2",
        ),
        // It can be for a remote node.
        found(
            "fencing-node",
            with(&of_node2(&listed("remote1")), "fence-node2", "fence-remote1"),
            "no fence device is for node2",
            "pcs stonith create fence-node2 fence_lab pcmk_host_list=node2",
        ),
        found(
            "fencing-node",
            of_node2("name=\"pcmk_host_map\" value=\"node1=node2;nod2=3\""),
            "no fence device is for node2",
            "pcs stonith create fence-node2 fence_lab pcmk_host_list=node2",
        ),
    ]
}

pub(super) fn ping_cases() -> Vec<Case> {
    let asking = |parameters: &[(&str, &str)]| pinging(LEVEL, parameters);
    let gateway = "name=\"host_list\" value=\"192.0.2.1\"";
    let addresses = ["198.51.100.12".to_owned(), "2001:db8::12".to_owned()].into();
    let known = || Host { addresses, ..host() };
    vec![
        (
            "ping-hosts",
            host(),
            asking(&[("ping_targets", "192.0.2.10,192.0.2.1"), ("ping_maxfail", "1")]),
            "fence-ping pings 192.0.2.10, an address of this cluster",
            "pcs stonith update fence-ping ping_targets=192.0.2.1 ping_maxfail=0",
        ),
        (
            "ping-hosts",
            host(),
            with(ACTIVE, gateway, "name=\"host_list\" value=\"node2\""),
            "gateway pings node2",
            "pcs resource update gateway host_list='<address of the gateway>'",
        ),
        (
            "ping-hosts",
            host(),
            asking(&[("ping_targets", "127.0.0.53,192.0.2.1"), ("ping_maxfail", "1")]),
            "fence-ping pings 127.0.0.53",
            "ping_targets=192.0.2.1 ping_maxfail=0",
        ),
        (
            "ping-hosts",
            known(),
            asking(&[("ping_targets", "inet:198.51.100.12")]),
            "pings inet:198.51.100.12",
            "ping_targets='<address of the gateway>'",
        ),
        (
            "ping-hosts",
            host(),
            asking(&[("ping_targets", "192.0.2.10"), ("ping_maxfail", "0")]),
            "fence-ping pings 192.0.2.10",
            "ping_targets='<address of the gateway>'",
        ),
        (
            "ping-hosts",
            host(),
            with(ACTIVE, gateway, "name=\"host_list\" value=\" \""),
            "gateway has no host to ping (host_list is empty): its attribute is 0",
            "pcs resource update gateway host_list='<address of the gateway>'",
        ),
        (
            "ping-hosts",
            host(),
            with(ACTIVE, gateway, "name=\"host_list\" value=\"192.0.2.1,,198.51.100.1\""),
            "gateway pings \"192.0.2.1,,198.51.100.1\" as one host, which never answers: blanks belong",
            "pcs resource update gateway host_list=\"192.0.2.1 198.51.100.1\"",
        ),
        (
            "fencing-ping",
            host(),
            asking(&[]),
            "fence-ping has no host to ping (ping_targets is empty): it always fails",
            "pcs stonith update fence-ping ping_targets='<address of the gateway>'",
        ),
        (
            "fencing-ping",
            host(),
            asking(&[("ping_targets", ","), ("ping_maxfail", "1")]),
            "fence-ping has no host to ping (ping_targets is empty): it always fails",
            "pcs stonith update fence-ping ping_targets='<address of the gateway>' ping_maxfail=0",
        ),
        (
            "fencing-ping",
            host(),
            asking(&[("ping_targets", "192.0.2.1,198.51.100.1,"), ("ping_maxfail", "1")]),
            "fence-ping also pings a host without a name, which never answers: ping_targets=192.0.2.1,198.51.100.1, has a comma",
            "pcs stonith update fence-ping ping_targets=\"192.0.2.1,198.51.100.1\"",
        ),
        (
            "fencing-ping",
            host(),
            asking(&[("ping_targets", "inet6:2001:db8::1,192.0.2.1"), ("ping_maxfail", "1")]),
            "fence-ping pings \"2001\" in place of inet6:2001:db8::1, which never answers",
            "pcs stonith update fence-ping ping_targets=\"2001:db8::1,192.0.2.1\"",
        ),
        (
            "fencing-ping",
            host(),
            asking(&[("ping_targets", ","), ("ping_maxfail", "2")]),
            "fence-ping has no host to ping (ping_targets is empty): it always succeeds",
            "pcs stonith update fence-ping ping_targets='<address of the gateway>' ping_maxfail=0",
        ),
        // The agent does not trim it.
        (
            "fencing-ping",
            host(),
            asking(&[("ping_targets", "192.0.2.1, inet6:2001:db8::1"), ("ping_maxfail", "1")]),
            "fence-ping pings \"inet6:2001:db8::1\" with its prefix, which never answers: remove the blank",
            "pcs stonith update fence-ping ping_targets=\"192.0.2.1,2001:db8::1\"",
        ),
        (
            "fencing-ping",
            host(),
            asking(&[("ping_targets", " inet:192.0.2.1")]),
            "fence-ping pings \"inet:192.0.2.1\" with its prefix, which never answers: remove the blank",
            "pcs stonith update fence-ping ping_targets=inet:192.0.2.1",
        ),
        (
            "fencing-ping",
            host(),
            asking(&[
                ("ping_targets", "inet6: 2001:db8::1,inet: gateway.lan"),
                ("ping_maxfail", "1"),
            ]),
            "fence-ping pings \"2001\" in place of inet6: 2001:db8::1, which never answers",
            "pcs stonith update fence-ping ping_targets=\"2001:db8::1,inet:gateway.lan\"",
        ),
        // The agent takes it for one host.
        (
            "fencing-ping",
            host(),
            asking(&[("ping_targets", "192.0.2.1 198.51.100.1"), ("ping_maxfail", "1")]),
            "fence-ping pings \"192.0.2.1 198.51.100.1\" as one host, which never answers",
            "pcs stonith update fence-ping ping_targets=\"192.0.2.1,198.51.100.1\"",
        ),
        (
            "fencing-ping",
            host(),
            asking(&[("ping_targets", "192.0.2.1"), ("ping_count", "1")]),
            "fence-ping wants 8 answers (ping_good_count) and sends fewer pings (ping_count=1)",
            "pcs stonith update fence-ping ping_good_count=1",
        ),
        (
            "fencing-ping",
            host(),
            asking(&[("ping_targets", "192.0.2.1"), ("ping_maxfail", "1")]),
            "none of its hosts answers",
            "pcs stonith update fence-ping ping_maxfail=0",
        ),
        (
            "fencing-ping-host",
            host(),
            asking(&[("ping_targets", "192.0.2.1,198.51.100.1")]),
            "one of its 2 hosts is silent",
            "pcs stonith update fence-ping ping_maxfail=1",
        ),
    ]
}
