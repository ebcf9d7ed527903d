// What nobody sees need not be asked for or drawn, until it comes into view.

/** Returns a function that calls `act` at once while `element` is in or near the view, and else as soon as it is. */
export function whenSeen(element, act) {
  let seen = false;
  let due = false;
  const look = ([entry]) => {
    seen = entry.isIntersecting;
    if (!seen || !due) return;
    due = false;
    act();
  };
  new IntersectionObserver(look, { rootMargin: "300px" }).observe(element);
  return () => (seen ? act() : (due = true));
}
