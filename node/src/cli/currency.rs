//! Currencies that are in use, where, and which one a host is set to.

use popmesh_proto::money::Currency;

/// Currencies of ISO 4217 that people pay with, and the territories (ISO 3166) where each is the only one. Those of
/// territories with several stand without these.
const IN_USE: &[(&str, &str)] = &[
    ("AED", "AE"),
    ("AFN", "AF"),
    ("ALL", "AL"),
    ("AMD", "AM"),
    ("AOA", "AO"),
    ("ARS", "AR"),
    ("AUD", "AU CX CC NF NR TV"),
    ("AWG", "AW"),
    ("AZN", "AZ"),
    ("BAM", "BA"),
    ("BBD", "BB"),
    ("BDT", "BD"),
    ("BHD", "BH"),
    ("BIF", "BI"),
    ("BMD", "BM"),
    ("BND", "BN"),
    ("BOB", "BO"),
    ("BRL", "BR"),
    ("BSD", "BS"),
    ("BTN", ""),
    ("BWP", "BW"),
    ("BYN", "BY"),
    ("BZD", "BZ"),
    ("CAD", "CA"),
    ("CDF", "CD"),
    ("CHF", "CH LI"),
    ("CLP", "CL"),
    ("CNY", "CN"),
    ("COP", "CO"),
    ("CRC", "CR"),
    ("CUP", "CU"),
    ("CVE", "CV"),
    ("CZK", "CZ"),
    ("DJF", "DJ"),
    ("DKK", "DK FO GL"),
    ("DOP", "DO"),
    ("DZD", "DZ"),
    ("EGP", "EG"),
    ("ERN", "ER"),
    ("ETB", "ET"),
    (
        "EUR",
        "AD AT AX BE BG CY DE EE ES FI FR GF GP GR HR IE IT LT LU LV MC ME MF MQ MT NL PM PT RE SI SK SM TF VA XK YT",
    ),
    ("FJD", "FJ"),
    ("FKP", "FK"),
    ("GBP", "GB GG IM JE"),
    ("GEL", "GE"),
    ("GHS", "GH"),
    ("GIP", "GI"),
    ("GMD", "GM"),
    ("GNF", "GN"),
    ("GTQ", "GT"),
    ("GYD", "GY"),
    ("HKD", "HK"),
    ("HNL", "HN"),
    ("HTG", ""),
    ("HUF", "HU"),
    ("IDR", "ID"),
    ("ILS", "IL PS"),
    ("INR", "IN"),
    ("IQD", "IQ"),
    ("IRR", "IR"),
    ("ISK", "IS"),
    ("JMD", "JM"),
    ("JOD", "JO"),
    ("JPY", "JP"),
    ("KES", "KE"),
    ("KGS", "KG"),
    ("KHR", ""),
    ("KMF", "KM"),
    ("KPW", "KP"),
    ("KRW", "KR"),
    ("KWD", "KW"),
    ("KYD", "KY"),
    ("KZT", "KZ"),
    ("LAK", "LA"),
    ("LBP", ""),
    ("LKR", "LK"),
    ("LRD", ""),
    ("LSL", ""),
    ("LYD", "LY"),
    ("MAD", "MA EH"),
    ("MDL", "MD"),
    ("MGA", "MG"),
    ("MKD", "MK"),
    ("MMK", "MM"),
    ("MNT", "MN"),
    ("MOP", "MO"),
    ("MRU", "MR"),
    ("MUR", "MU"),
    ("MVR", "MV"),
    ("MWK", "MW"),
    ("MXN", "MX"),
    ("MYR", "MY"),
    ("MZN", "MZ"),
    ("NAD", ""),
    ("NGN", "NG"),
    ("NIO", "NI"),
    ("NOK", "NO SJ BV"),
    ("NPR", "NP"),
    ("NZD", "NZ CK NU PN TK"),
    ("OMR", "OM"),
    ("PAB", ""),
    ("PEN", "PE"),
    ("PGK", "PG"),
    ("PHP", "PH"),
    ("PKR", "PK"),
    ("PLN", "PL"),
    ("PYG", "PY"),
    ("QAR", "QA"),
    ("RON", "RO"),
    ("RSD", "RS"),
    ("RUB", "RU"),
    ("RWF", "RW"),
    ("SAR", "SA"),
    ("SBD", "SB"),
    ("SCR", "SC"),
    ("SDG", "SD"),
    ("SEK", "SE"),
    ("SGD", "SG"),
    ("SHP", "SH"),
    ("SLE", "SL"),
    ("SOS", "SO"),
    ("SRD", "SR"),
    ("SSP", "SS"),
    ("STN", "ST"),
    ("SVC", ""),
    ("SYP", "SY"),
    ("SZL", ""),
    ("THB", "TH"),
    ("TJS", "TJ"),
    ("TMT", "TM"),
    ("TND", "TN"),
    ("TOP", "TO"),
    ("TRY", "TR"),
    ("TTD", "TT"),
    ("TWD", "TW"),
    ("TZS", "TZ"),
    ("UAH", "UA"),
    ("UGX", "UG"),
    ("USD", "AS BQ FM GU IO MH MP PR PW TC TL UM US VG VI"),
    ("UYU", "UY"),
    ("UZS", "UZ"),
    ("VES", ""),
    ("VND", "VN"),
    ("VUV", "VU"),
    ("WST", "WS"),
    ("XAF", "CF CG CM GA GQ TD"),
    ("XCD", "AG AI DM GD KN LC MS VC"),
    ("XCG", "CW SX"),
    ("XOF", "BF BJ CI GW ML NE SN TG"),
    ("XPF", "NC PF WF"),
    ("YER", "YE"),
    ("ZAR", "ZA"),
    ("ZMW", "ZM"),
    ("ZWG", ""),
];

/// Every code that is in use.
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    IN_USE.iter().map(|(code, _)| *code)
}

/// The same one after the other, for people.
pub(super) fn list() -> String {
    codes().collect::<Vec<_>>().join(" ")
}

/// Reads the code of a currency that people pay with, in any case.
pub(super) fn in_use(text: &str) -> Result<Currency, String> {
    let code = text.trim().to_ascii_uppercase();
    let known = IN_USE.iter().any(|(known, _)| *known == code).then(|| code.parse().ok()).flatten();
    known.ok_or_else(|| {
        let given: String = text.chars().take(20).collect();
        format!("{given:?} is no currency that people pay with; give one of {}", list())
    })
}

/// What a host is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// Somebody has set what money looks like here: `LC_MONETARY`.
    Money(Currency),
    /// The language or the country says so, which often is whatever the system came with: `LC_ALL` or `LANG`.
    Country(Currency),
    /// Nothing that tells of one currency.
    None,
}

/// What the environment that `get` knows says of the currency.
pub(super) fn of_host(get: impl Fn(&str) -> Option<String>) -> Setting {
    let set = |name: &str| get(name).filter(|value| !value.is_empty());
    // As everywhere: LC_ALL goes before all.
    let (name, value) = match (set("LC_ALL"), set("LC_MONETARY"), set("LANG")) {
        (Some(value), ..) => ("LC_ALL", value),
        (_, Some(value), _) => ("LC_MONETARY", value),
        (_, _, Some(value)) => ("LANG", value),
        _ => return Setting::None,
    };
    match (of_locale(&value), name) {
        (Some(currency), "LC_MONETARY") => Setting::Money(currency),
        (Some(currency), _) => Setting::Country(currency),
        (None, _) => Setting::None,
    }
}

/// The one currency of the territory of a locale such as `de_AT.UTF-8@euro`.
fn of_locale(locale: &str) -> Option<Currency> {
    let territory = locale.split(['.', '@']).next()?.split('_').nth(1)?;
    let (code, _) =
        IN_USE.iter().find(|(_, territories)| territories.split(' ').any(|it| it == territory))?;
    code.parse().ok().filter(|_| territory.len() == 2)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_territory_has_one_currency_and_each_code_is_one() {
        let mut territories = BTreeSet::new();
        for (code, at) in IN_USE {
            assert_eq!(code.parse::<Currency>().unwrap().to_string(), *code);
            for territory in at.split(' ').filter(|territory| !territory.is_empty()) {
                assert_eq!(territory.len(), 2, "{code}: {territory}");
                assert!(territories.insert(territory), "{territory} has two");
            }
        }
        assert!(IN_USE.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order");
    }

    #[test]
    fn only_what_is_set_about_money_is_certain() {
        let host = |set: &[(&str, &str)]| {
            let set: Vec<(String, String)> =
                set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            of_host(|name| set.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone()))
        };
        let currency = |code: &str| code.parse::<Currency>().unwrap();
        assert_eq!(host(&[("LC_MONETARY", "de_AT.UTF-8")]), Setting::Money(currency("EUR")));
        assert_eq!(
            host(&[("LC_MONETARY", "de_CH"), ("LANG", "en_US.UTF-8")]),
            Setting::Money(currency("CHF"))
        );
        assert_eq!(host(&[("LANG", "en_US.UTF-8")]), Setting::Country(currency("USD")));
        assert_eq!(
            host(&[("LC_ALL", "ja_JP.UTF-8"), ("LC_MONETARY", "de_DE")]),
            Setting::Country(currency("JPY"))
        );
        for nothing in
            ["C", "C.UTF-8", "POSIX", "de", "en_", "es_419", "en_001.UTF-8", "de_ZZ", "ar_LB", "_", ""]
        {
            assert_eq!(host(&[("LC_MONETARY", nothing)]), Setting::None, "{nothing}");
        }
    }

    #[test]
    fn what_is_no_currency_is_told_which_there_are() {
        assert_eq!(in_use("eur").unwrap().to_string(), "EUR");
        for bad in ["", "EUE", "euro", "€", "XTS", "EURO "] {
            assert!(in_use(bad).unwrap_err().contains("EUR"), "{bad}");
        }
    }
}
