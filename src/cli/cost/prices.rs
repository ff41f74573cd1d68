//! The prices of commands, with their date, and how money is written.

/// The prices of a provider.
pub(super) struct Prices {
    provider: &'static str,
    /// When and where they were read.
    read: &'static str,
    /// Free commands a month.
    pub(super) free_commands: u64,
    cents_per_100_000: u64,
    /// The smallest plan whose commands cost nothing, in dollars a month.
    fixed_from: u64,
}

/// Change all of it together.
pub(super) const PRICES: Prices = Prices {
    provider: "Upstash",
    read: "2026-11 at https://upstash.com/pricing/redis",
    free_commands: 500_000,
    cents_per_100_000: 20,
    fixed_from: 10,
};

impl Prices {
    /// The price of commands where each is billed.
    pub(super) fn money(&self, commands: u64) -> String {
        let cents = (u128::from(commands) * u128::from(self.cents_per_100_000) + 50_000) / 100_000;
        let dollars = u64::try_from(cents / 100).unwrap_or(u64::MAX);
        format!("${}.{:02}", crate::evaluate::grouped(dollars), cents % 100)
    }

    /// The prices in words.
    pub(super) fn describe(&self) -> String {
        let Self { provider, read, free_commands, cents_per_100_000, fixed_from } = self;
        format!(
            "Prices are {provider}'s, as read {read}:\n\
             - free plan: {free} commands a month\n\
             - pay as you go: $0.{cents_per_100_000:02} for each 100,000 commands\n\
             - fixed plans from ${fixed_from} a month: commands cost nothing\n\
             A global database bills each write once more for each read region. The sidecar writes for retention only.\n",
            free = crate::evaluate::grouped(*free_commands)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_rounded_to_the_cent() {
        for (commands, money) in [
            (0, "$0.00"),
            (2_499, "$0.00"),
            (2_500, "$0.01"),
            (100_000, "$0.20"),
            (2_592_000, "$5.18"),
            (600_000_000, "$1,200.00"),
        ] {
            assert_eq!(PRICES.money(commands), money, "{commands}");
        }
    }
}
