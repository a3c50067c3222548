//! The console and the overlay, used from outside as people use them: in a browser, by what is written on the screen, with real
//! nodes behind. Each test has a venue and a browser of its own.

mod care;
mod encoder;
mod guard;
mod hq;
mod logic;
mod overlay;
mod pickup;
mod sale;
mod shop;
mod stop;
mod texts;
mod walk;
