/** Which parts the HQ page has, in the order of their tabs. Each is a module of its name with `start(place, frame)`. */
export const PARTS = ['mesh', 'devices', 'stock', 'programme', 'incidents', 'takings', 'people', 'rules'];

/** The part that the page begins with. */
export const [first] = PARTS;
