// After an order, go to the page of what it makes: <form data-follow="turns"> or "comparison" names the link of the answer.

export const pageOf = (link) => link.replace(/^\/v1/, '').replace(/\/turns$/, '');

document.addEventListener('api:done', (event) => {
  const link = event.detail.links?.[event.target.dataset.follow];
  if (link) location.href = pageOf(link);
});
