//! The manual pages of the agents, section 7, in the form of resource-agents' own
//! (`ocf_PROVIDER_AGENT(7)`).
//!
//! Parameters, actions and timeouts come from the [`ocf::Description`] that the agent itself uses;
//! this package adds the rest of a page. The page and the completions of the command `smartvox` are
//! made from its own options and rules.

mod command;
mod opensips;
mod opensips_vip;
mod page;

pub use command::{command_page, completions};
pub use page::Page;

use ocf::Exit;

/// The content of a page that is not in the description of the agent.
#[derive(Debug)]
struct Manual {
    /// Every exit code that the agent returns, and what it means for this agent.
    exits: &'static [(Exit, &'static str)],
    /// Exit reasons as `crm_mon` shows them, with words in capitals for the parts that vary; and
    /// what an operator does about each.
    reasons: &'static [(&'static str, &'static str)],
    /// Paths, and what each contains.
    files: &'static [(&'static str, &'static str)],
    /// The purpose of a command, and the command.
    examples: &'static [(&'static str, &'static str)],
    /// Other pages: name and section.
    see_also: &'static [(&'static str, &'static str)],
}

/// The pages of both agents.
pub fn pages() -> [Page; 2] {
    [
        Page::new(&::opensips_vip::DESCRIPTION, &opensips_vip::MANUAL),
        Page::new(&opensips_ra::DESCRIPTION, &opensips::MANUAL),
    ]
}
