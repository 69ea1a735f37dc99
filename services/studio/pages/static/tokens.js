// A new token: its secret is shown this once, to be copied.

const given = document.getElementById('given');
const secret = document.getElementById('secret');
const copied = document.getElementById('copied');

document.getElementById('give').addEventListener('api:done', (event) => {
  const { name, secret: told } = event.detail;
  document.getElementById('given-name').textContent = `The token of ${name}`;
  secret.value = told;
  copied.textContent = '';
  given.hidden = false;
  event.target.reset();
  given.focus();
});

document.getElementById('copy').addEventListener('click', async () => {
  secret.select();
  try {
    await navigator.clipboard.writeText(secret.value);
    copied.textContent = 'Copied.';
  } catch {
    copied.textContent = 'Your browser does not let us copy; it is selected now: press Ctrl or Cmd and C.';
  }
});
