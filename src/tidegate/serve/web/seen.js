// What nobody sees is asked for and drawn only when it comes into view, or when nothing has changed for a while: a print
// or a picture of the whole page shows it too.

const REST = 400; // milliseconds

/** Returns a function that calls `act` at once while `element` is in or near the view, and else as soon as it is. */
export function whenSeen(element, act) {
  let seen = false;
  let due = false;
  let timer = 0;
  const catchUp = () => {
    if (!due) return;
    due = false;
    clearTimeout(timer);
    act();
  };
  const look = ([entry]) => {
    seen = entry.isIntersecting;
    if (seen) catchUp();
  };
  new IntersectionObserver(look, { rootMargin: "300px" }).observe(element);
  addEventListener("beforeprint", catchUp);
  return () => {
    due = true;
    clearTimeout(timer);
    if (seen) catchUp();
    else timer = setTimeout(catchUp, REST);
  };
}
