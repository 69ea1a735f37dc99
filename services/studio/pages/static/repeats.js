// A card that was classified is drawn anew: whoever goes through them by keyboard goes on in it.

document.addEventListener('api:done', (event) => {
  const [card, button] = [event.target.closest('.cluster')?.id, event.target.id];
  if (!card) return;
  document.addEventListener('htmx:afterSettle', () => {
    if (document.activeElement !== document.body) return; // they are elsewhere by now
    const again = document.getElementById(button) ?? document.getElementById(card)?.querySelector('[role=group] button');
    again?.focus({ preventScroll: true });
  }, { once: true });
});
