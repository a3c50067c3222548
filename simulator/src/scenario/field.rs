//! Tables and fields of a scenario file, each of which knows where it stands, so that every error can say so.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::rc::Rc;

use toml::de::{DeTable, DeValue};

use super::error::{Location, Problem, ScenarioError, Suggestion, list, shortened};
use super::words;

/// A file's text, and what it is called.
#[derive(Debug)]
pub(super) struct Source {
    /// What it is called.
    pub(super) name: String,
    /// What is in it.
    pub(super) text: String,
}

/// A place in a file.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    source: Rc<Source>,
    offset: Option<usize>,
    field: String,
}

impl Spot {
    pub(super) fn new(source: &Rc<Source>, offset: Option<usize>, field: impl Into<String>) -> Self {
        Self { source: Rc::clone(source), offset, field: field.into() }
    }

    /// The place, for people.
    pub(super) fn location(&self) -> Location {
        let position = self.offset.map(|offset| {
            let before = self.source.text.get(..offset).unwrap_or(&self.source.text);
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
        });
        Location { file: self.source.name.clone(), position, field: self.field.clone() }
    }

    /// An error at this place.
    pub(super) fn error(&self, problem: Problem) -> ScenarioError {
        ScenarioError { at: self.location(), problem: Box::new(problem) }
    }

    fn inner(&self, key: &str, offset: usize) -> Self {
        let field = if self.field.is_empty() { key.to_owned() } else { format!("{}.{key}", self.field) };
        Self::new(&self.source, Some(offset), field)
    }

    fn item(&self, index: usize, offset: usize) -> Self {
        Self::new(&self.source, Some(offset), format!("{}[{index}]", self.field))
    }
}

/// The start of the night and its length, by which times are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hours {
    /// Seconds after midnight.
    pub(super) starts_at_s: u64,
    /// Milliseconds.
    pub(super) duration_ms: u64,
}

/// A table of a file. Keys that nobody asked for are an error at its [`Table::end`].
#[derive(Debug)]
pub(super) struct Table<'t> {
    /// Where it stands.
    pub(super) spot: Spot,
    entries: BTreeMap<&'t str, (usize, usize, &'t DeValue<'t>)>,
    asked: Vec<&'static str>,
}

impl<'t> Table<'t> {
    pub(super) fn new(table: &'t DeTable<'t>, spot: Spot) -> Self {
        let entries = table
            .iter()
            .map(|(key, value)| {
                (key.get_ref().as_ref(), (key.span().start, value.span().start, value.get_ref()))
            })
            .collect();
        Self { spot, entries, asked: Vec::new() }
    }

    /// Takes a field out.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Field<'t>> {
        self.asked.push(key);
        let (_, offset, value) = self.entries.remove(key)?;
        Some(Field { spot: self.spot.inner(key, offset), value })
    }

    /// Takes out a field that must be there.
    pub(super) fn need(
        &mut self,
        key: &'static str,
        example: &'static str,
    ) -> Result<Field<'t>, ScenarioError> {
        if let Some(field) = self.take(key) {
            return Ok(field);
        }
        // Perhaps it is there, and mistyped: that says more than that it is missing.
        let mistyped = Suggestion::among(key, self.entries.keys().copied());
        match mistyped.0.and_then(|found| self.entries.get_key_value(found.as_str())) {
            Some((found, (offset, _, _))) => {
                Err(self.spot.inner(found, *offset).error(Problem::UnknownKey {
                    key: (*found).to_owned(),
                    suggestion: Suggestion(Some(key.to_owned())),
                    known: list(self.asked.iter().copied()),
                }))
            }
            None => Err(self.spot.error(Problem::Missing { key, example })),
        }
    }

    /// The tables of an array of tables, none if it is absent.
    pub(super) fn tables(&mut self, key: &'static str) -> Result<Vec<Table<'t>>, ScenarioError> {
        let Some(field) = self.take(key) else { return Ok(Vec::new()) };
        field.list("tables, each under its own `[[…]]`")?.into_iter().map(|item| item.table()).collect()
    }

    /// Whatever is left, in the order in which it is written.
    pub(super) fn rest(&mut self) -> Vec<(&'t str, Field<'t>)> {
        let mut rest: Vec<_> = std::mem::take(&mut self.entries).into_iter().collect();
        rest.sort_by_key(|(_, (key_offset, _, _))| *key_offset);
        rest.into_iter()
            .map(|(key, (_, offset, value))| (key, Field { spot: self.spot.inner(key, offset), value }))
            .collect()
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// That nothing is left.
    pub(super) fn end(self) -> Result<(), ScenarioError> {
        let first = self.entries.iter().min_by_key(|(_, (key_offset, _, _))| *key_offset);
        match first {
            None => Ok(()),
            Some((key, (offset, _, _))) => Err(self.spot.inner(key, *offset).error(Problem::UnknownKey {
                key: shortened(key),
                suggestion: Suggestion::among(key, self.asked.iter().copied()),
                known: self.asked.join(", "),
            })),
        }
    }
}

/// One value of a file.
#[derive(Debug, Clone)]
pub(super) struct Field<'t> {
    /// Where it stands.
    pub(super) spot: Spot,
    value: &'t DeValue<'t>,
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time without quotes",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl<'t> Field<'t> {
    pub(super) fn error(&self, problem: Problem) -> ScenarioError {
        self.spot.error(problem)
    }

    fn wrong_type(&self, wanted: &'static str) -> ScenarioError {
        self.error(Problem::WrongType { wanted, found: kind(self.value) })
    }

    fn not_understood(&self, given: &str, wanted: &'static str) -> ScenarioError {
        self.error(Problem::NotUnderstood { given: shortened(given), wanted })
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    pub(super) fn text_as(&self, wanted: &'static str) -> Result<&'t str, ScenarioError> {
        match self.value {
            DeValue::String(text) => Ok(text),
            _ => Err(self.wrong_type(wanted)),
        }
    }

    pub(super) fn text(&self) -> Result<&'t str, ScenarioError> {
        self.text_as("a text in quotes")
    }

    pub(super) fn flag(&self) -> Result<bool, ScenarioError> {
        match self.value {
            DeValue::Boolean(flag) => Ok(*flag),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    /// A whole number that may be negative.
    pub(super) fn signed(&self, range: RangeInclusive<i64>) -> Result<i64, ScenarioError> {
        let DeValue::Integer(number) = self.value else { return Err(self.wrong_type("a whole number")) };
        let value = i64::from_str_radix(number.as_str(), number.radix());
        value.ok().filter(|value| range.contains(value)).ok_or_else(|| {
            self.error(Problem::OutOfRange {
                given: shortened(&number.to_string()),
                least: range.start().to_string(),
                most: range.end().to_string(),
            })
        })
    }

    /// A whole number.
    pub(super) fn number(&self, range: RangeInclusive<u64>) -> Result<u64, ScenarioError> {
        // The limits are all far below what a signed number can hold.
        let bound = |bound: u64| i64::try_from(bound).unwrap_or(i64::MAX);
        self.signed(bound(*range.start())..=bound(*range.end())).map(i64::unsigned_abs)
    }

    /// A number with up to three decimals, in thousandths.
    pub(super) fn thousandths(&self, most: u64) -> Result<u64, ScenarioError> {
        let wanted = "a number with at most three decimals, such as 0.5";
        let text = match self.value {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            _ => return Err(self.wrong_type(wanted)),
        };
        let value = words::scaled(text, 1_000).ok_or_else(|| self.not_understood(text, wanted))?;
        self.within(text, value, 0..=most, |value| words::show_scaled(value, 1_000))
    }

    fn within(
        &self,
        given: &str,
        value: u64,
        range: RangeInclusive<u64>,
        show: impl Fn(u64) -> String,
    ) -> Result<u64, ScenarioError> {
        if range.contains(&value) {
            return Ok(value);
        }
        Err(self.error(Problem::OutOfRange {
            given: shortened(given),
            least: show(*range.start()),
            most: show(*range.end()),
        }))
    }

    /// A duration in microseconds.
    pub(super) fn duration_us(&self, range: RangeInclusive<u64>) -> Result<u64, ScenarioError> {
        let text = self.text_as(words::DURATION)?;
        let value = words::duration_us(text).ok_or_else(|| self.not_understood(text, words::DURATION))?;
        self.within(text, value, range, words::show_us)
    }

    /// A duration in milliseconds.
    pub(super) fn duration_ms(&self, range: RangeInclusive<u64>) -> Result<u64, ScenarioError> {
        let text = self.text_as(words::DURATION)?;
        self.duration_ms_of(text, range)
    }

    fn duration_ms_of(&self, text: &str, range: RangeInclusive<u64>) -> Result<u64, ScenarioError> {
        let value = words::duration_us(text)
            .and_then(words::whole_ms)
            .ok_or_else(|| self.not_understood(text, words::DURATION))?;
        self.within(text, value, range, words::show_ms)
    }

    /// A duration that may be negative, in milliseconds.
    pub(super) fn signed_ms(&self, most: u64) -> Result<i64, ScenarioError> {
        let text = self.text_as(words::DURATION)?;
        let size = text.trim().strip_prefix('-');
        let value = self.duration_ms_of(size.unwrap_or(text), 0..=most)?.cast_signed();
        Ok(if size.is_some() { -value } else { value })
    }

    /// Two durations, `5 s - 20 s`, or one for both.
    pub(super) fn durations_ms(&self, range: RangeInclusive<u64>) -> Result<(u64, u64), ScenarioError> {
        let text = self.text_as(words::DURATION)?;
        let (least, most) = text.split_once('-').unwrap_or((text, text));
        let least = self.duration_ms_of(least, range.clone())?;
        let most = self.duration_ms_of(most, range)?;
        self.in_order(text, (least, most))
    }

    /// Two numbers, `"1-3"`, or one for both.
    pub(super) fn numbers(&self, range: RangeInclusive<u64>) -> Result<(u64, u64), ScenarioError> {
        const WANTED: &str = "a number, or two in quotes such as \"1-3\"";
        if matches!(self.value, DeValue::Integer(_)) {
            let number = self.number(range)?;
            return Ok((number, number));
        }
        let text = self.text_as(WANTED)?;
        let (least, most) = text.split_once('-').unwrap_or((text, text));
        let read = |part: &str| {
            let number = part.trim().parse().map_err(|_| self.not_understood(text, WANTED))?;
            self.within(part.trim(), number, range.clone(), |value| value.to_string())
        };
        let both = (read(least)?, read(most)?);
        self.in_order(text, both)
    }

    fn in_order(&self, text: &str, (least, most): (u64, u64)) -> Result<(u64, u64), ScenarioError> {
        if least <= most {
            return Ok((least, most));
        }
        Err(self.error(Problem::Impossible {
            problem: format!("{:?} ends before it begins; put the smaller one first", shortened(text)),
        }))
    }

    /// A time of day, seconds after midnight.
    pub(super) fn clock_s(&self) -> Result<u64, ScenarioError> {
        let text = self.time_text()?;
        words::clock_s(&text).ok_or_else(|| self.not_understood(&text, "a time of day such as \"18:00\""))
    }

    /// A time of the night, milliseconds after its start.
    pub(super) fn time_ms(&self, hours: Hours) -> Result<u64, ScenarioError> {
        let text = self.time_text()?;
        let time = words::time_ms(&text, hours.starts_at_s);
        let time = time.ok_or_else(|| self.not_understood(&text, words::TIME))?;
        if time > hours.duration_ms { Err(self.outside(text, hours)) } else { Ok(time) }
    }

    pub(super) fn outside(&self, given: String, hours: Hours) -> ScenarioError {
        self.error(Problem::OutsideTheNight {
            given,
            starts: words::show_clock_s(hours.starts_at_s),
            ends: words::show_clock_s(hours.starts_at_s + hours.duration_ms / 1_000),
        })
    }

    /// TOML has times of its own, without quotes; they mean the same.
    fn time_text(&self) -> Result<String, ScenarioError> {
        match self.value {
            DeValue::Datetime(time) if time.date.is_none() && time.offset.is_none() => Ok(time.to_string()),
            _ => self.text_as(words::TIME).map(str::to_owned),
        }
    }

    /// A share, in thousandths.
    pub(super) fn share(&self, most: u64) -> Result<u64, ScenarioError> {
        let text = self.text_as(words::SHARE)?;
        let value = words::share_per_mille(text).ok_or_else(|| self.not_understood(text, words::SHARE))?;
        self.within(text, value, 0..=most, words::show_share)
    }

    /// A speed in kbit/s.
    pub(super) fn speed(&self, range: RangeInclusive<u64>) -> Result<u64, ScenarioError> {
        let text = self.text_as(words::SPEED)?;
        let value = words::speed_kbit_per_s(text).ok_or_else(|| self.not_understood(text, words::SPEED))?;
        self.within(text, value, range, words::show_speed)
    }

    /// One of several words; `-` and `_` are the same.
    pub(super) fn word<T: Copy>(
        &self,
        what: &'static str,
        words: &[(&'static str, T)],
    ) -> Result<T, ScenarioError> {
        let text = self.text()?;
        let plain = text.replace('-', "_");
        words
            .iter()
            .find(|(word, _)| word.replace('-', "_") == plain)
            .map(|(_, value)| *value)
            .ok_or_else(|| self.unknown(what, text, words.iter().map(|(word, _)| *word)))
    }

    /// That nothing of this kind has this name.
    pub(super) fn unknown<'a>(
        &self,
        what: &'static str,
        given: &str,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> ScenarioError {
        self.error(Problem::UnknownName {
            what,
            given: shortened(given),
            suggestion: Suggestion::among(given, known.clone()),
            known: list(known),
        })
    }

    pub(super) fn table(&self) -> Result<Table<'t>, ScenarioError> {
        match self.value {
            DeValue::Table(table) => Ok(Table::new(table, self.spot.clone())),
            _ => Err(self.wrong_type("a table")),
        }
    }

    /// The items of a list.
    pub(super) fn list(&self, wanted: &'static str) -> Result<Vec<Field<'t>>, ScenarioError> {
        let DeValue::Array(items) = self.value else { return Err(self.wrong_type(wanted)) };
        Ok(items
            .iter()
            .enumerate()
            .map(|(index, item)| Field {
                spot: self.spot.item(index, item.span().start),
                value: item.get_ref(),
            })
            .collect())
    }

    /// The items of a list, or the one that stands there alone.
    pub(super) fn one_or_more(&self) -> Result<Vec<Field<'t>>, ScenarioError> {
        if self.is_list() { self.list("a list") } else { Ok(vec![self.clone()]) }
    }
}
