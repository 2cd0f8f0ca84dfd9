//! A stop that says 0, and what must not be there then.

use crate::identity::second;
use crate::site::recurring;
use crate::{ends, every_daemon, fails};

#[test]
fn orphans_of_an_instance_whose_configuration_was_changed() {
    testnet::root_or_skip!();
    every_daemon("orphans_of_an_instance_whose_configuration_was_changed", |site| {
        let second = second(site);
        ends(&second.action("start"), 0);
        let theirs = site.processes();
        site.start();
        site.kill_main();
        let changed = site.agent().param("config", site.path("other.cfg"));
        fails(&recurring(&changed), 1, "main process is gone");
        ends(&changed.action("stop"), 0);
        assert_eq!(site.processes(), theirs);
        ends(&recurring(&second), 0);
        ends(&second.action("stop"), 0);
        site.nothing_is_left();
    });
}
